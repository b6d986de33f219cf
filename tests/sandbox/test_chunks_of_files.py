"""Long texts in files, cut into chunks: each chunk a row, in results of both formats."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from airflow.sdk.exceptions import AirflowFailException

from opensearch_batch import results
from opensearch_batch.operators import ReportOperator
from tests.sandbox.bench import MODEL, Run, Server

ROWS = [
    {"id": "one", "text": "The first sentence is here. The second one is here.", "lang": "en"},
    {"id": "one#0", "text": "Short.", "lang": "de"},
    {"id": "three", "text": " ".join(f"Sentence {n} is here." for n in range(9)), "lang": "en"},
]


def written(kind: str) -> bytes:
    if kind == "jsonl":
        return b"".join(json.dumps(row).encode() + b"\n" for row in ROWS)
    if kind == "csv":
        out = io.StringIO()
        lines = csv.DictWriter(out, list(ROWS[0]))
        lines.writeheader()
        lines.writerows(ROWS)
        return out.getvalue().encode()
    sink = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), sink)
    return sink.getvalue()


def through(run: Run, server: Server, uri: str, **settings: Any) -> dict[str, Any]:
    spec = {
        "name": "chunks",
        "model": {"name": MODEL, "parameters": {"dimensions": 8}, **settings.pop("model", {})},
        "input": {"uri": uri, "chunks": {"size": 30, "unit": "characters"}, **settings.pop("input", {})},
        "output": {"uri": f"file://{run.out}", "include": ["lang"], **settings.pop("output", {})},
        "work_uri": f"file://{run.folder}/work",
        **settings,
    }
    shards = run.prepare(uri, spec=spec, model=None, model_parameters=None, input_uri=None, work_uri=None)
    landed = [run.fetch(run.wait(run.submit(server.model(), shards)), spec=spec, final=False)]
    report: dict[str, Any] = run.execute(ReportOperator(task_id="report", planned_by="prepare", landed=landed))
    return report


@pytest.mark.parametrize("source", ["jsonl", "csv", "parquet"])
@pytest.mark.parametrize("output", ["jsonl", "parquet"])
def test_each_chunk_is_a_row(tmp_path: Path, server: Server, source: str, output: str) -> None:
    run = Run(tmp_path)
    report = through(run, server, run.write(written(source), f"in.{source}"), output={"format": output})
    assert (report["records"], report["answered"]) == (12, 12)
    texts = {row["id"]: row["text"] for row in ROWS}
    found = list(results.open(report["manifest"]))
    assert len({row["id"] for row in found}) == 12
    for row in found:
        chunk = row["_chunk"] if isinstance(row["_chunk"], dict) else json.loads(row["_chunk"])
        assert row["id"] == f"{chunk['of']}#{chunk['number']}"
        assert texts[chunk["of"]][chunk["start"] : chunk["end"]] == chunk["text"]
        assert row["lang"] == ("de" if chunk["of"] == "one#0" else "en")
        assert len(row["_text_hash"]) == 32
    assert {row["id"] for row in found} >= {"one#0", "one#1", "one#0#0", "three#8"}


def test_many_chunks_go_in_one_request(tmp_path: Path, server: Server) -> None:
    run = Run(tmp_path)
    report = through(run, server, run.write(ROWS), model={"texts_per_request": 5})
    assert (report["records"], report["answered"]) == (12, 12)
    assert [job["requests"] for job in server.ledger] == [3]


def test_a_repeated_id_and_an_empty_text_are_one_bad_row_each(tmp_path: Path, server: Server) -> None:
    run = Run(tmp_path)
    rows = [*ROWS, {"id": "three", "text": "Another. " * 20, "lang": "en"}, {"id": "four", "text": "", "lang": "en"}]
    report = through(run, server, run.write(rows), input={"bad_rows": "skip", "max_bad_fraction": 0.5})
    assert (report["answered"], report["bad_rows"]) == (12, 2)


def test_rows_are_counted_before_they_are_cut(tmp_path: Path, server: Server) -> None:
    run = Run(tmp_path)
    report = through(run, server, run.write(ROWS), input={"max_records": 2})
    assert report["answered"] == 3


def test_bad_texts_are_a_share_of_the_texts(tmp_path: Path, server: Server) -> None:
    """And not of the 600 chunks of the good ones."""
    run = Run(tmp_path)
    rows = [{"id": f"good-{n}", "text": sentences(60), "lang": "en"} for n in range(10)]
    rows += [{"id": f"bad-{n}", "text": "", "lang": "en"} for n in range(60)]
    with pytest.raises(AirflowFailException, match=r"60 bad rows of 70 read .* input.max_bad_fraction is 0.1"):
        through(run, server, run.write(rows), input={"bad_rows": "skip"})


def test_chunks_that_are_bad_by_themselves_are_a_share_of_the_chunks(tmp_path: Path, server: Server) -> None:
    """Three of 33 are longer, in UTF-8, than a shard's tokens."""
    run = Run(tmp_path)
    rows = [{"id": f"good-{n}", "text": sentences(15), "lang": "en"} for n in range(2)]
    rows.append({"id": "long", "text": "\u6f22" * 90, "lang": "zh"})
    report = through(run, server, run.write(rows), input={"bad_rows": "skip"}, limits={"max_tokens": 20})
    assert (report["answered"], report["bad_rows"]) == (30, 3)


def sentences(count: int) -> str:
    return " ".join(f"Sentence {n} is here." for n in range(count))
