"""Fields of the row in its result: in both formats, with many texts a request, and through repair rounds."""

from __future__ import annotations

import json
from typing import Any

import pyarrow.parquet
import pytest
from airflow.sdk.exceptions import AirflowFailException

from tests.sandbox.bench import Run, Server, lines_of
from tests.sandbox.test_repair import Rounds

ROWS: list[dict[str, Any]] = [
    {"id": f"row-{n}", "text": f"text number {n}", "title": f"Title {n}", "year": 2000 + n, "tags": ["a", n]}
    for n in range(10)
]
WANTED = {"row-3": {"title": None, "year": 2003, "tags": ["a", 3]}} | {
    str(row["id"]): {name: row[name] for name in ("title", "year", "tags")} for row in ROWS if row["id"] != "row-3"
}
INCLUDE = {"output.include": ["title", "year", "tags"]}


def rows() -> list[dict[str, Any]]:
    """One row without a title."""
    return [{name: value for name, value in row.items() if (row["id"], name) != ("row-3", "title")} for row in ROWS]


def carried(found: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    assert all("embedding" in row for row in found)
    return {row["id"]: {name: row[name] for name in ("title", "year", "tags")} for row in found}


@pytest.mark.parametrize("texts_per_request", [1, 4])
def test_each_result_has_the_fields_of_its_row(texts_per_request: int, server: Server, model_id: str, run: Run) -> None:
    server.fault("reorder")
    bundles = run.prepare(rows(), overrides=INCLUDE, max_inputs=6, texts_per_request=texts_per_request)
    outcomes = run.wait(run.submit(model_id, bundles))
    run.fetch(outcomes)
    found = run.landed("results")
    assert carried(list(found.values())) == WANTED
    assert list(found["row-0"]) == ["id", "title", "year", "tags", "embedding"]


def test_a_parquet_column_has_the_type_of_all_its_values(model_id: str, run: Run) -> None:
    given = rows()
    for row, mixed in zip(given, [1, 2.5, *[3] * 8], strict=True):
        row |= {"ratio": mixed, "mixed": mixed if row["id"] == "row-0" else "text", "good": True, "nothing": None}
    names = ["title", "year", "tags", "ratio", "mixed", "good", "nothing"]
    bundles = run.prepare(given, overrides={"output.include": names}, max_requests=4)
    report = run.fetch(run.wait(run.submit(model_id, bundles)), output_format="parquet")["report"]
    tables = [pyarrow.parquet.read_table(uri.removeprefix("file://")) for uri in report["results"]]
    assert len(tables) == 3
    types = ["string", "int64", "string", "double", "string", "bool", "string"]
    for table in tables:
        assert [str(table.schema.field(name).type) for name in names] == types
    found = [row for table in tables for row in table.to_pylist()]
    assert {row["id"]: (row["title"], row["year"], json.loads(row["tags"])) for row in found} == {
        row_id: tuple(fields.values()) for row_id, fields in WANTED.items()
    }
    assert {row["id"]: row["mixed"] for row in found} == {"row-0": "1"} | {f"row-{n}": '"text"' for n in range(1, 10)}


@pytest.mark.parametrize(
    ("first", "second", "column"),
    [
        (1.5, 1732884000000000001, "string"),
        (1.5, (1 << 63) + 1, "string"),
        (1.5, 1 << 60, "double"),
        (7, 1732884000000000001, "int64"),
    ],
)
def test_great_whole_numbers_land_beside_numbers_as_they_are(
    first: float, second: int, column: str, model_id: str, run: Run
) -> None:
    """In files of one type: JSON where numbers of double precision would be others."""
    given = [{"id": "a", "text": "one", "price": first}, {"id": "b", "text": "two", "price": second}]
    bundles = run.prepare(given, overrides={"output.include": ["price"]}, max_requests=1)
    report = run.fetch(run.wait(run.submit(model_id, bundles)), output_format="parquet")["report"]
    tables = [pyarrow.parquet.read_table(uri.removeprefix("file://")) for uri in report["results"]]
    assert [str(table.schema.field("price").type) for table in tables] == [column] * 2
    found = {row["id"]: row["price"] for table in tables for row in table.to_pylist()}
    assert {name: json.loads(str(value)) for name, value in found.items()} == {"a": first, "b": second}


@pytest.mark.parametrize("texts_per_request", [1, 4])
def test_rows_of_a_repair_round_carry_them_too(texts_per_request: int, server: Server, model_id: str, run: Run) -> None:
    server.fault("expire", fraction=0.5)
    rounds = Rounds(run, model_id, rows=rows(), overrides=INCLUDE, texts_per_request=texts_per_request)
    rounds.shards()
    rounds.repair()
    report = rounds.report()
    assert (report["answered"], report["failed"], report["missing"]) == (10, 0, 0)
    assert 0 < report["repaired"] < 10
    assert carried(list(run.landed("results").values())) == WANTED


def test_a_field_that_no_row_has_is_a_mistake(run: Run) -> None:
    with pytest.raises(
        AirflowFailException, match=r"output\.include: no row has 'titel'; the first has 'id', 'tags', "
    ):
        run.prepare(rows(), overrides={"output.include": ["titel"]})
    assert not list(run.folder.glob("work/**/*.jsonl"))


def test_another_include_sends_nothing_again(server: Server, model_id: str, run: Run) -> None:
    run.submit(model_id, run.prepare(rows()))
    bundles = run.prepare(rows(), overrides=INCLUDE)
    run.fetch(run.wait(run.submit(model_id, bundles)))
    assert len(server.ledger) == 1
    assert carried([row for path in run.out.glob("results-*") for row in lines_of(f"file://{path}")]) == WANTED


def test_other_fields_of_the_same_rows_are_another_file(server: Server, model_id: str, run: Run) -> None:
    """A manifest may name the first, and the try that lands the second may yet fail."""
    found = []
    for title in ("old", "new", "old"):
        bundles = run.prepare([row | {"title": title} for row in rows()], overrides=INCLUDE)
        (part,) = run.fetch(run.wait(run.submit(model_id, bundles)), final=False)["landed"]
        found.append(part["results"])
    assert found[0] == found[2]
    assert [{row["title"] for row in lines_of(entry["uri"])} for entry in found[:2]] == [{"old"}, {"new"}]
    assert len(server.ledger) == 1
