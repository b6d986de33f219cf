"""Inputs: the same rows from each format, compressed or not; what cannot be read is named, with what to do."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from backports import zstd

from opensearch_batch.errors import InputError, NoSuchObject, SpecError
from opensearch_batch.sources.included import IncludedFields
from opensearch_batch.sources.inputs import format_by_name, read_rows
from opensearch_batch.sources.rows import BadRow, Row
from opensearch_batch.spec import BatchSpec

ROWS = [
    {"id": "tea", "text": "Green tea, 80 degrees.", "lang": "en"},
    {"id": "thé", "text": 'Un "thé" vert:\n80 degrés.', "lang": "fr"},
    {"id": "long", "text": "x" * 200_000, "lang": "en"},
]


def as_jsonl(rows: list[dict[str, Any]] = ROWS) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def as_csv(rows: list[dict[str, Any]] = ROWS, delimiter: str = ",") -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def as_parquet(rows: list[dict[str, Any]] = ROWS) -> bytes:
    out = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), out, row_group_size=2)
    return out.getvalue()


def all_of(
    folder: Path, name: str, content: bytes, include: list[str] | None = None, **read: Any
) -> list[Row | BadRow]:
    (folder / name).write_bytes(content)
    return rows_at(f"file://{folder}/{name}", include, **read)


def rows_at(at: str, include: list[str] | None = None, **read: Any) -> list[Row | BadRow]:
    spec = {
        "name": "n",
        "model": {"name": "m"},
        "input": {"uri": at, **read},
        "output": {"uri": "file:///out", "include": include or []},
    }
    return list(read_rows(BatchSpec.check(spec)))


def fields(found: list[Row | BadRow]) -> list[dict[str, Any]]:
    assert all(isinstance(row, Row) for row in found), found
    return [row.fields for row in found if isinstance(row, Row)]


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("in.jsonl", as_jsonl),
        ("in.jsonl.gz", lambda: gzip.compress(as_jsonl())),
        ("in.jsonl.zst", lambda: zstd.compress(as_jsonl())),
        ("a name that tells nothing", lambda: zstd.compress(as_jsonl())),
        ("two members.jsonl.gz", lambda: gzip.compress(as_jsonl(ROWS[:1])) + gzip.compress(as_jsonl(ROWS[1:]))),
        ("two frames.jsonl.zst", lambda: zstd.compress(as_jsonl(ROWS[:1])) + zstd.compress(as_jsonl(ROWS[1:]))),
        ("in.csv", as_csv),
        ("in.CSV.gz", lambda: gzip.compress(as_csv())),
        ("with a byte order mark.csv", lambda: b"\xef\xbb\xbf" + as_csv()),
        ("in.tsv", lambda: as_csv(delimiter="\t")),
        ("in.parquet", as_parquet),
    ],
)
def test_the_rows_are_the_same_in_each_format(tmp_path: Path, name: str, make: Callable[[], bytes]) -> None:
    assert fields(all_of(tmp_path, name, make(), include=["lang"])) == ROWS


def test_the_spec_names_format_and_delimiter_where_the_name_does_not(tmp_path: Path) -> None:
    assert fields(all_of(tmp_path, "export", as_csv(delimiter=";"), format="csv", delimiter=";")) == ROWS
    assert len(all_of(tmp_path, "part-0", as_parquet(), format="parquet")) == 3


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.jsonl", "jsonl"), ("a.ndjson.gz", "jsonl"), ("a", "jsonl"), ("a.csv.zst", "csv"), ("b.pq", "parquet")],
)
def test_the_name_tells_the_format(name: str, kind: str) -> None:
    assert format_by_name(name) == kind


@pytest.mark.parametrize(
    ("name", "uri"),
    [
        ("report[1].jsonl", "report[1].jsonl"),
        ("[prod] articles/2026.jsonl", "[prod] articles/2026.jsonl"),
        ("[prod] articles/2026.jsonl", "[prod] articles/*.jsonl"),
        ("[prod]/[a]/part-7.jsonl", "[prod]/[a]/part-[0-9].jsonl"),
        ("articles/2026.jsonl", "[abc]rticles/2026.jsonl"),
    ],
)
def test_brackets_in_a_name_that_is_there_are_no_glob(tmp_path: Path, name: str, uri: str) -> None:
    """Each of the other names is what its glob would match."""
    for other in ("report1.jsonl", "p articles/2026.jsonl", "p/a/part-7.jsonl", name):
        (tmp_path / other).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / other).write_bytes(as_jsonl(ROWS if other == name else ROWS[:1]))
    assert len(rows_at(f"file://{tmp_path}/{uri}")) == len(ROWS)


def test_a_file_that_has_to_be_there_is_named_in_a_folder_with_brackets_too(tmp_path: Path) -> None:
    (tmp_path / "[prod]").mkdir()
    with pytest.raises(NoSuchObject, match=r"/\[prod\]/2026\.jsonl: no such object"):
        rows_at(f"file://{tmp_path}/[prod]/2026.jsonl")


@pytest.mark.parametrize("kind", ["gz", "zst"])
def test_a_compressed_file_that_ends_too_early_says_so(tmp_path: Path, kind: str) -> None:
    whole = gzip.compress(as_jsonl()) if kind == "gz" else zstd.compress(as_jsonl())
    with pytest.raises(InputError, match=r"in\.jsonl: the compressed data ends too early"):
        all_of(tmp_path, "in.jsonl", whole[:-5])


def test_a_broken_compressed_file_says_so(tmp_path: Path) -> None:
    whole = bytearray(gzip.compress(as_jsonl()))
    whole[20:40] = bytes(20)
    with pytest.raises(InputError, match=r"in\.jsonl: the compressed data is broken: "):
        all_of(tmp_path, "in.jsonl", bytes(whole))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"PK\x03\x04....", "is a zip archive; compress it with gzip or zstd"),
        (b"BZh9....", "is bzip2"),
        (as_parquet(), "is Parquet; say input.format: parquet"),
    ],
)
def test_what_is_not_read_is_named(tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(InputError, match=says):
        all_of(tmp_path, "in.jsonl", content)


def test_csv_under_another_name_gets_a_hint(tmp_path: Path) -> None:
    first, *_ = all_of(tmp_path, "in.txt", as_csv())
    assert str(first).endswith("for CSV or Parquet say input.format")


def test_wrong_csv_records_are_named_by_their_first_line_and_the_others_are_read(tmp_path: Path) -> None:
    content = b'id,text\na,"two\nlines"\nb,too,many\n\nc,"a quote" inside\nd,caf\xe9\ne,fine\nf,"never closed\n'
    found = all_of(tmp_path, "in.csv", content)
    assert [(row.place.number, row.fields["id"]) for row in found if isinstance(row, Row)] == [(2, "a"), (8, "e")]
    assert [(row.place.number, row.reason.split(";")[0]) for row in found if isinstance(row, BadRow)] == [
        (4, "3 fields, the header has 2"),
        (6, "not CSV: ',' expected after '\"'"),
        (7, "not UTF-8"),
        (9, "not CSV: unexpected end of data"),
    ]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"key;text\n1;x\n", r"in\.csv: the header has no column 'id', 'text'; it has 'key;text'.*or input\.delimiter"),
        (b"id,text,text\n1,x,y\n", "several columns named 'text'"),
        ("id,téxt\n".encode("latin-1"), "the header is not UTF-8"),
        ("id,text\n".encode("utf-16"), "the header is not UTF-8"),
    ],
)
def test_a_csv_that_cannot_be_read_says_why(tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(InputError, match=says):
        all_of(tmp_path, "in.csv", content)


def test_an_empty_csv_has_no_rows(tmp_path: Path) -> None:
    assert all_of(tmp_path, "in.csv", b"") == []
    assert all_of(tmp_path, "in.csv", b"id,text\n") == []


def test_of_parquet_only_the_columns_of_the_run_are_read_and_rows_are_counted(tmp_path: Path) -> None:
    found = all_of(tmp_path, "in.parquet", as_parquet(), prompt="{text}!")
    assert [set(row) for row in fields(found)] == [{"id", "text"}] * 3
    assert [str(row.place).rsplit("/", 1)[1] for row in found] == [f"in.parquet row {n}" for n in (1, 2, 3)]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (as_parquet()[:-30], "cannot be read as Parquet: "),
        (b"", "cannot be read as Parquet: "),
        (as_parquet([{"id": 1, "body": "x"}]), "has no column 'text'; it has 'id', 'body'"),
    ],
)
def test_a_parquet_file_that_cannot_be_read_says_why(tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(InputError, match=says):
        all_of(tmp_path, "in.parquet", content)


MOMENT = 1_767_225_600_123_456
"""2026-01-01 00:00:00.123456 UTC, in microseconds."""


def parquet_of(**columns: pyarrow.Array) -> bytes:
    out = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"id": ["a"], "text": ["one"], **columns}), out)
    return out.getvalue()


@pytest.mark.parametrize(("unit", "a_microsecond"), [("us", 1), ("ns", 1000)])
def test_times_of_parquet_go_into_results_as_texts(tmp_path: Path, unit: str, a_microsecond: int) -> None:
    def column(kind: pyarrow.DataType, microseconds: int) -> pyarrow.Array:
        return pyarrow.array([microseconds * a_microsecond + a_microsecond - 1], kind)

    columns = {
        "seen": column(pyarrow.timestamp(unit), MOMENT),
        "told": column(pyarrow.timestamp(unit, "UTC"), MOMENT),
        "hour": column(pyarrow.time64(unit), 1_500_000),
        "took": column(pyarrow.duration(unit), 1_500_000),
    }
    (row,) = fields(all_of(tmp_path, "in.parquet", parquet_of(**columns), include=list(columns)))
    assert [type(row[name]) for name in columns] == [datetime, datetime, time, timedelta]
    included = IncludedFields(list(columns))
    assert json.loads(included.line("a", row))[1] == {
        "seen": "2026-01-01T00:00:00.123456",
        "told": "2026-01-01T00:00:00.123456+00:00",
        "hour": "00:00:01.500000",
        "took": "PT1.5S",
    }
    assert set(included.types().values()) == {"text"}


def test_times_of_nanoseconds_within_a_list_are_texts_too(tmp_path: Path) -> None:
    column = pyarrow.array([[MOMENT * 1000 + 789, None]], pyarrow.list_(pyarrow.timestamp("ns")))
    (row,) = fields(all_of(tmp_path, "in.parquet", parquet_of(seen=column), include=["seen"]))
    line = IncludedFields(["seen"]).line("a", row)
    assert json.loads(line) == ["a", {"seen": ["2026-01-01T00:00:00.123456789", None]}]


def test_a_time_that_python_cannot_hold_says_so(tmp_path: Path) -> None:
    column = pyarrow.array([300_000_000_000], pyarrow.timestamp("s"))
    with pytest.raises(InputError, match=r"in\.parquet cannot be read as Parquet: .* out of range"):
        all_of(tmp_path, "in.parquet", parquet_of(seen=column), include=["seen"])


@pytest.mark.parametrize(
    ("read", "says"),
    [
        ({"text_field": ["title", "body"]}, r'say input\.prompt, e\.g\. prompt: "{title}\\n{body}"'),
        ({"text_field": "body", "prompt": "{body}"}, "give one of them"),
        ({"text_field": "text", "prompt": "{text}"}, "give one of them"),
        ({"uri": "sql://warehouse"}, "belong together"),
        ({"query": "SELECT 1"}, "belong together"),
    ],
)
def test_an_input_that_contradicts_itself_is_refused(tmp_path: Path, read: dict[str, Any], says: str) -> None:
    with pytest.raises(SpecError, match=says):
        all_of(tmp_path, "in.jsonl", b"", **read)


def test_a_result_keeps_its_own_names(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"output\.include: a result has its own embedding, id"):
        all_of(tmp_path, "in.jsonl", b"", include=["title", "id", "embedding"])


def test_a_result_keeps_the_names_of_its_reuse(tmp_path: Path) -> None:
    """A row may be the result of an earlier run."""
    with pytest.raises(SpecError, match=r"output\.include: a result has its own _paid_day, _text_hash"):
        all_of(tmp_path, "in.jsonl", b"", include=["_text_hash", "_paid_day"])
