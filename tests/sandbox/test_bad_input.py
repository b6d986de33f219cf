"""Wrong specs, rows and files: a clear error before anything is sent, and nothing left behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from opensearch_batch.operators import PrepareInputOperator
from tests.sandbox.bench import MODEL, Run, Server, rows_of

GOOD = b'{"id": "a", "text": "fine"}\n'


@dataclass(frozen=True)
class Case:
    """`says` are parts of the message: what is wrong, where, and what to do."""

    name: str
    says: tuple[str, ...]
    content: bytes | None = GOOD
    spec: Callable[[Path], Any] | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    conf: dict[str, Any] = field(default_factory=dict)


def spec(folder: Path, **sections: Any) -> dict[str, Any]:
    return {
        "name": "bad",
        "model": {"name": MODEL},
        "input": {"uri": f"file://{folder}/in.jsonl"},
        "output": {"uri": f"file://{folder}/out"},
        "work_uri": f"file://{folder}/work",
        **sections,
    }


CASES = [
    Case(
        "unknown key", ("SpecError", "unknown key 'limit'", "did you mean 'limits'?"),
        spec=lambda folder: spec(folder, limit={}),
    ),
    Case(
        "unknown key of a section", ("SpecError", "unknown key 'input.text_feild'", "did you mean 'text_field'?"),
        spec=lambda folder: spec(folder, input={"uri": "file:///x", "text_feild": "t"}),
    ),
    Case("spec file missing", ("SpecError", "nowhere.yaml: "), spec=lambda folder: f"{folder}/nowhere.yaml"),
    Case("file missing", ("NoSuchObject", "in.jsonl: no such object"), content=None),
    Case("file empty", ("InputError", "in.jsonl: no rows", "input.allow_empty: true"), content=b""),
    Case("file of blank lines", ("InputError", "in.jsonl: no rows", "input.allow_empty: true"), content=b"\n \n\n"),
    Case(
        "glob without a match", ("InputError", "*.csv: matches no object", "input.allow_empty: true"),
        spec=lambda folder: spec(folder, input={"uri": f"file://{folder}/*.csv"}),
    ),
    Case("broken JSON", ("InputError", "in.jsonl line 3: not JSON"), content=GOOD + b'\n{"id": "b", "text": \n'),
    Case(
        "not UTF-8", ("InputError", "in.jsonl line 2: not UTF-8 (byte 24: 0xe9)", "iconv"),
        content=GOOD + '{"id": "b", "text": "café"}'.encode("latin-1"),
    ),
    Case("not an object", ("InputError", "in.jsonl line 2: a row must be a JSON object"), content=GOOD + b"[1, 2]\n"),
    Case("missing id", ("InputError", "in.jsonl line 2: the row has no 'id'"), content=GOOD + b'{"text": "x"}\n'),
    Case(
        "duplicate id", ("InputError", "in.jsonl line 3: id 'a' was already used at", "in.jsonl line 1"),
        content=GOOD + b'{"id": "b", "text": "x"}\n' + GOOD,
    ),
    Case(
        "empty text", ("InputError", "in.jsonl line 2: the text in 'text' is empty"),
        content=GOOD + b'{"id": 1, "text": ""}\n',
    ),
    Case("no text", ("InputError", "in.jsonl line 2: the row has no text in 'text'"), content=GOOD + b'{"id": 1}\n'),
    Case(
        "prompt over a missing field", ("InputError", "in.jsonl line 1: the prompt asks for 'title'", "id, text"),
        settings={"prompt": "Explain {title}"},
    ),
    Case(
        "record over the byte limit", ("InputError", "in.jsonl line 2: the row makes a request of", "limits.max_bytes"),
        content=GOOD + b'{"id": "b", "text": "' + b"x" * 500 + b'"}\n', settings={"max_bytes": 300},
    ),
    Case(
        "limit above the provider's", ("SpecError", "limits.max_requests is 50001; the provider allows 50000"),
        settings={"max_requests": 50_001},
    ),
    Case(
        "record over the token limit",
        ("InputError", "in.jsonl line 2: the row makes a request of an estimated 125 tokens", "limits.max_tokens"),
        content=GOOD + b'{"id": "b", "text": "' + b"x" * 500 + b'"}\n', settings={"max_tokens": 100},
    ),
    Case(
        "requests over the byte limit",
        ("InputError", "in.jsonl line 1: this row and the 1 after it", "model.texts_per_request"),
        content=GOOD + b'{"id": "b", "text": "fine"}\n', settings={"max_bytes": 120, "texts_per_request": 2},
    ),
    Case(
        "inputs above the provider's", ("SpecError", "limits.max_inputs is 50001; the provider allows 50000"),
        settings={"max_inputs": 50_001},
    ),
    Case(
        "many texts where the endpoint takes one",
        ("SpecError", "model.texts_per_request is 2; /v1/responses allows 1"),
        settings={"texts_per_request": 2, "endpoint": "/v1/responses"},
    ),
    Case(
        "more texts than a request may have", ("SpecError", "texts_per_request is 2049; /v1/embeddings allows 2048"),
        settings={"texts_per_request": 2049},
    ),
    Case(
        "over budget", ("BudgetExceeded", "max_cost_usd is 0.0", "1 row in 1 shard", "Nothing was sent"),
        settings={"max_cost_usd": 0.0},
    ),
    Case(
        "budget without a price", ("BudgetExceeded", "no price is known", "limits.usd_per_million_tokens"),
        settings={"max_cost_usd": 1.0, "model": "my-own-model"},
    ),
    Case(
        "not a URI", ("InputError", "'in.jsonl' is not a URI", "file:///path"),
        spec=lambda folder: spec(folder, input={"uri": "in.jsonl"}),
    ),
    Case("folder instead of a file", ("InputError", "folder"), content=None, spec=lambda folder: spec(
        folder, input={"uri": f"file://{folder}"}
    )),
    Case(
        "environment variable unset", ("SpecError", "output.uri: environment variable NO_SUCH_VARIABLE is not set"),
        spec=lambda folder: spec(folder, output={"uri": "${NO_SUCH_VARIABLE}/out"}),
    ),
    Case(
        "empty partition where rows are wanted", ("InputError", "matches no object"), settings={"allow_empty": False},
        spec=lambda folder: spec(folder, input={"uri": f"file://{folder}/no-{{run_id}}-{{partition}}*.jsonl"}),
        conf={"partition": "2026-01-31"},
    ),
    Case(
        "unknown key of the run's conf", ("SpecError", "unknown key 'partitoin'", "did you mean 'partition'?"),
        conf={"partitoin": "2026-01-31"},
    ),
    Case(
        "no partition", ("SpecError", "input.uri: this run has no partition", "in the run's conf"),
        spec=lambda folder: spec(folder, input={"uri": f"file://{folder}/{{partition}}.jsonl"}),
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_is_refused_clearly_and_nothing_is_sent_or_left(server: Server, run: Run, case: Case) -> None:
    run.conf = case.conf
    if case.content is not None:
        run.write(case.content)
    if case.spec:
        operator = PrepareInputOperator(task_id="prepare", spec=case.spec(run.folder), **case.settings)
    else:
        given = {
            "input_uri": f"file://{run.folder}/in.jsonl", "model": MODEL, "work_uri": f"file://{run.folder}/work"
        }  # fmt: skip
        operator = PrepareInputOperator(task_id="prepare", **{**given, **case.settings})
    with pytest.raises(AirflowFailException) as caught:
        run.execute(operator)
    said = str(caught.value)
    assert said.startswith(case.says[0])
    assert all(part in said for part in case.says), said
    assert server.calls == []
    assert server.ledger == []
    assert list(run.folder.glob("work/**/*.jsonl")) == []
    assert ("prepare", "return_value") not in run.xcoms


def test_a_wrong_row_after_good_shards_leaves_none_of_them(server: Server, run: Run) -> None:
    rows = rows_of(10)
    with pytest.raises(AirflowFailException, match="line 11"):
        run.prepare([*rows, {"id": "row-0", "text": "again"}], max_requests=2)
    assert list(run.folder.glob("work/**/*.jsonl")) == []


def test_ids_are_unique_over_all_files_of_a_glob(run: Run) -> None:
    for name in ("part-1.jsonl", "part-2.jsonl"):
        run.write(rows_of(2), name)
    with pytest.raises(AirflowFailException, match=r"part-2\.jsonl line 1: id 'row-0' was already used at .*part-1"):
        run.prepare(f"file://{run.folder}/part-*.jsonl")


def test_an_empty_file_is_fine_where_the_spec_says_so(run: Run) -> None:
    run.write(b"")
    assert run.prepare(f"file://{run.folder}/in.jsonl", allow_empty=True) == []
    assert run.xcoms["prepare", "plan"]["records"] == 0


def test_rows_at_most_counts_rows_and_not_blank_lines(run: Run) -> None:
    run.write(b"\n\n" + GOOD + b"\n" + b'{"id": "b", "text": "x"}\n' + b'{"id": "c", "text": "x"}\n')
    run.prepare(f"file://{run.folder}/in.jsonl", overrides={"input.max_records": 2})
    assert run.xcoms["prepare", "plan"]["records"] == 2


def test_a_rerun_over_a_shorter_input_leaves_no_shard_of_the_first(run: Run) -> None:
    run.prepare(rows_of(10), max_requests=2)
    run.prepare(rows_of(3), max_requests=2)
    assert len(list(run.folder.glob("work/**/*.jsonl"))) == 2


def test_spec_errors_of_the_other_operators_are_as_clear(server: Server, run: Run) -> None:
    with pytest.raises(AirflowFailException, match="unknown key 'limit', did you mean 'limits'"):
        run.submit("model", [], spec=spec(run.folder, limit={}))
    with pytest.raises(AirflowFailException, match="Shard: unknown .*Clear the upstream task"):
        run.submit("model", [{"index": 0, "odd": 1}])
    with pytest.raises(AirflowFailException, match="Job: .*Clear the upstream task"):
        run.wait([{"key": "batch-x"}])
    with pytest.raises(AirflowFailException, match="Outcome: .*Clear the upstream task"):
        run.fetch([{"job": {}}])
    with pytest.raises(AirflowFailException, match="unknown provider 'opnai'; did you mean 'openai'"):
        run.submit("model", [], provider="opnai")
    with pytest.raises(AirflowFailException, match="needs output_uri= or spec="):
        run.fetch([], output_uri="")
    assert server.ledger == []
