"""Result files: what is added comes back exactly, as JSON Lines and as Parquet; uncommitted, nothing is left."""

from __future__ import annotations

import json
import random
import sys
from array import array
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from opensearch_batch.errors import SpecError, Unavailable, UnknownAnswer
from opensearch_batch.flow.answers import Answer, Usage
from opensearch_batch.flow.data_files import DataFile, Format
from opensearch_batch.providers.openai.provider import read_line
from opensearch_batch.sinks import parquet
from opensearch_batch.sinks.formats import format_of, open_results
from opensearch_batch.storage import read_lines, write_object

ABOUT = {"model_id": "model-1", "run": "run-1", "shard": "00003", "batch_id": "batch_1"}


def singles(count: int, seed: int = 1) -> list[float]:
    """Numbers that single precision has exactly, of all magnitudes an embedding may have, the corners included."""
    chance = random.Random(seed)
    corners = [0.0, -0.0, 1.0, 3.4028234663852886e38, 1.401298464324817e-45]
    return array("f", corners + [chance.gauss(0, 10 ** chance.randint(-8, 2)) for _ in range(count)]).tolist()[:count]


def answered(row_id: str, embedding: Any) -> Answer:
    """As it comes from the provider."""
    body = {"data": [{"object": "embedding", "embedding": embedding}], "usage": {"prompt_tokens": 7}}
    return read_line(json.dumps({"custom_id": row_id, "response": {"status_code": 200, "body": body}}).encode())


def written(folder: Path, answers: list[Answer], output_format: Format = "parquet") -> DataFile | None:
    with open_results(f"file://{folder}/results", output_format, ABOUT) as out:
        for answer in answers:
            out.add(answer)
        return out.commit()


def rows_of(folder: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pyarrow.parquet.read_table(folder / "results.parquet").to_pylist()
    return rows


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_vectors_come_back_to_the_bit_with_usage_and_provenance(tmp_path: Path) -> None:
    vectors = {f"row-{n}": singles(16, n) for n in range(9)}
    entry = written(tmp_path, [answered(row_id, vector) for row_id, vector in vectors.items()])
    path = tmp_path / "results.parquet"
    assert entry is not None
    assert (entry.uri, entry.rows, entry.bytes) == (f"file://{path}", 9, path.stat().st_size)
    rows = rows_of(tmp_path)
    told = {row["id"]: array("f", row.pop("embedding")).tobytes() for row in rows}
    assert told == {row_id: array("f", vector).tobytes() for row_id, vector in vectors.items()}
    assert rows == [{"id": row_id, "input_tokens": 7, "output_tokens": 0, **ABOUT} for row_id in vectors]


def test_a_vector_is_a_fixed_size_list_of_single_precision(tmp_path: Path) -> None:
    written(tmp_path, [answered("a", singles(5)), answered("b", singles(5))])
    schema = pyarrow.parquet.read_schema(tmp_path / "results.parquet")
    assert schema.field("embedding").type == pyarrow.list_(pyarrow.float32(), 5)
    assert schema.names == ["id", "embedding", "input_tokens", "output_tokens", *ABOUT]


def test_doubles_are_rounded_to_the_nearest_single(tmp_path: Path) -> None:
    written(tmp_path, [answered("a", [0.1, 1 / 3, 2, -7])])
    assert rows_of(tmp_path)[0]["embedding"] == array("f", [0.1, 1 / 3, 2, -7]).tolist()


def test_base64_text_and_parsed_vectors_may_stand_in_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole numbers of more than 64 bits are read another way, and so are single-precision values."""
    monkeypatch.setattr(parquet, "GROUP_BYTES", 3 * 4 * 2)
    values = [singles(2, seed) for seed in range(12)]
    answers = [
        Answer(f"row-{n}", vector=array("f", value)) if n % 3 else answered(f"row-{n}", value)
        for n, value in enumerate(values)
    ]
    answers.append(answered("large", [123456789012345678901, 1]))
    assert answers[-1].numbers is None
    written(tmp_path, answers)
    told = {row["id"]: row["embedding"] for row in rows_of(tmp_path)}
    assert told.pop("large") == array("f", [123456789012345678901, 1]).tolist()
    assert told == {f"row-{n}": value for n, value in enumerate(values)}


def test_many_rows_are_written_in_groups_and_none_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "GROUP_BYTES", 10 * 4 * 8)
    written(tmp_path, [answered(f"row-{n}", singles(8, n)) for n in range(37)])
    about = pyarrow.parquet.ParquetFile(tmp_path / "results.parquet").metadata
    assert [about.row_group(n).num_rows for n in range(about.num_row_groups)] == [10, 10, 10, 7]
    assert [row["embedding"] for row in rows_of(tmp_path)] == [singles(8, n) for n in range(37)]


def test_texts_come_back_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "GROUP_CHARACTERS", 20)
    texts = {"a": "Grüße, 世界 \U0001f600", "b": "two\nlines\u2028", "c": "x" * 50, "d": "end"}
    written(tmp_path, [Answer(key, output=text, usage=Usage(3, 4)) for key, text in texts.items()])
    rows = rows_of(tmp_path)
    assert {row["id"]: row["output"] for row in rows} == texts
    assert {(row["input_tokens"], row["output_tokens"], row["batch_id"]) for row in rows} == {(3, 4, "batch_1")}
    assert pyarrow.parquet.ParquetFile(tmp_path / "results.parquet").metadata.num_row_groups == 3


def test_json_lines_keep_a_vectors_text_and_print_single_precision(tmp_path: Path) -> None:
    answers = [answered("a", [0.1, 1e-8]), Answer("b", vector=array("f", [0.5])), Answer("c", output="text")]
    entry = written(tmp_path, answers, "jsonl")
    lines = (tmp_path / "results.jsonl").read_bytes().splitlines()
    assert entry is not None
    assert entry.rows == 3
    assert lines[0] == b'{"id":"a","embedding":[0.1, 1e-08]}'
    assert [json.loads(line) for line in lines[1:]] == [{"id": "b", "embedding": [0.5]}, {"id": "c", "output": "text"}]


def test_a_folder_may_have_the_signs_of_globs_in_its_name(tmp_path: Path) -> None:
    for name in ("model[v2]", "modelv", "model2"):
        write_object(f"file://{tmp_path}/{name}/rows.jsonl", f"of {name}\n".encode())
    assert [line.raw for line in read_lines(f"file://{tmp_path}/model[v2]/rows.jsonl")] == [b"of model[v2]\n"]


@pytest.mark.parametrize("output_format", ["jsonl", "parquet"])
def test_without_rows_there_is_no_file(tmp_path: Path, output_format: Format) -> None:
    assert written(tmp_path, [], output_format) is None
    assert files(tmp_path) == []


@pytest.mark.parametrize("output_format", ["jsonl", "parquet"])
@pytest.mark.parametrize("rows", [0, 1, 40])
def test_what_breaks_off_leaves_nothing(
    tmp_path: Path, output_format: Format, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "GROUP_BYTES", 10 * 4 * 8)

    def begin_and_break_off() -> None:
        with open_results(f"file://{tmp_path}/results", output_format, ABOUT) as out:
            for n in range(rows):
                out.add(answered(f"row-{n}", singles(8)))
            assert len(files(tmp_path)) == 1, "a hidden file that is being written"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        begin_and_break_off()
    assert files(tmp_path) == []


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux's")
@pytest.mark.parametrize("output_format", ["jsonl", "parquet"])
@pytest.mark.parametrize("rows", [1, 500], ids=["when it is ended", "in the middle"])
def test_a_full_disk_is_named_and_leaves_nothing(
    tmp_path: Path, output_format: Format, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel's own answer: the hidden file is a link to a device that is always full."""
    monkeypatch.setattr("os.getpid", lambda: 7)
    (tmp_path / f".results.{output_format}.7.partial").symlink_to("/dev/full")
    vector = singles(1536)
    said = rf"results\.{output_format}: No space left on device after \d+ bytes; nothing of it was kept"
    with pytest.raises(Unavailable, match=said):
        written(tmp_path, [answered(f"row-{n}", vector) for n in range(rows)], output_format)
    assert files(tmp_path) == []
    assert written(tmp_path, [answered("row-1", vector)], output_format)
    assert files(tmp_path) == [f"results.{output_format}"]


def test_a_number_beyond_single_precision_is_refused_and_the_rows_are_named(tmp_path: Path) -> None:
    with pytest.raises(UnknownAnswer, match="a number among rows a to b is beyond single precision.*jsonl"):
        written(tmp_path, [answered("a", [0.5]), answered("b", [1e39])])
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (Answer("b", output="text"), "row b: a text after a vector of 1 numbers"),
        (Answer("b", vector=b"[1.0, 2.0]"), "row b: a vector of 2 numbers after a vector of 1 numbers"),
    ],
)
def test_a_column_has_one_kind(tmp_path: Path, second: Answer, message: str) -> None:
    with pytest.raises(UnknownAnswer, match=message):
        written(tmp_path, [answered("a", [0.5]), second])
    assert files(tmp_path) == []


def test_a_whole_number_in_a_column_of_numbers_is_one_however_great(tmp_path: Path) -> None:
    """An earlier version called a field of both a field of numbers."""
    with open_results(f"file://{tmp_path}/results", "parquet", ABOUT, {"price": "number"}) as out:
        for n, price in enumerate((1.5, 1732884000000000001, None)):
            out.add(answered(f"row-{n}", [0.5]), {"price": price})
        out.commit()
    found = pyarrow.parquet.read_table(tmp_path / "results.parquet").column("price").to_pylist()
    assert found == [1.5, 1732884000000000001.0, None]


def test_without_pyarrow_the_error_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(SpecError, match="output.format parquet needs pyarrow where tasks run"):
        written(tmp_path, [])


def test_an_unknown_format_is_refused() -> None:
    assert format_of("parquet") == "parquet"
    with pytest.raises(SpecError, match="'orc' is not one of jsonl, parquet"):
        format_of("orc")
