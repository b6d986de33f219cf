"""Rows from a database: a query over an Airflow connection, and what is said when it cannot be asked."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from opensearch_batch.errors import Unavailable
from tests.sandbox.bench import Run

COUNT = 2500
QUERY = "SELECT key AS id, body AS text, lang FROM articles WHERE day = '{partition}' AND body LIKE '%a%' ORDER BY key"


@pytest.fixture(autouse=True)
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with sqlite3.connect(tmp_path / "articles.db") as db:
        db.execute("CREATE TABLE articles (key INTEGER PRIMARY KEY, body TEXT, lang TEXT, day TEXT)")
        rows = [(n, f"article {n}", "en" if n % 2 else None, "2026-01-31") for n in range(COUNT)]
        db.executemany("INSERT INTO articles VALUES (?, ?, ?, ?)", [*rows, (COUNT, "a later one", "en", "2026-02-01")])
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", f'{{"conn_type": "sqlite", "host": "{tmp_path}/articles.db"}}')


def prepared(
    run: Run, query: str = QUERY, uri: str = "sql://warehouse", include: tuple[str, ...] = ()
) -> dict[str, Any]:
    run.conf = {"partition": "2026-01-31"}
    run.prepare(uri, overrides={"input.query": query, "output.include": list(include)})
    plan: dict[str, Any] = run.xcoms["prepare", "plan"]
    return plan


def test_the_rows_of_a_query_are_sent(run: Run) -> None:
    plan = prepared(run, include=("lang",))
    assert plan["records"] == COUNT
    (shard,) = run.folder.glob("work/*/prepare/shard-00000.jsonl")
    assert [line.split(b'"')[3] for line in shard.read_bytes().splitlines()[:3]] == [b"0", b"1", b"2"]
    fields = shard.with_name("shard-00000.fields.jsonl").read_bytes().splitlines()
    assert (fields[:2], len(fields)) == ([b'["0",{"lang":null}]', b'["1",{"lang":"en"}]'], COUNT)


def test_a_bad_row_is_named_by_its_number(run: Run) -> None:
    query = "SELECT 1 AS id, 'x' AS text UNION ALL SELECT 2, NULL"
    with pytest.raises(AirflowFailException, match=r"sql://warehouse row 2: the row has no text in 'text'"):
        prepared(run, query)


def test_a_partition_without_rows_is_an_empty_partition(run: Run) -> None:
    query = QUERY.replace("AND body", "AND 1 = 0 AND body")
    assert prepared(run, query)["records"] == 0
    with pytest.raises(AirflowFailException, match="sql://warehouse: no rows"):
        prepared(run, query.replace("{partition}", "2026-01-31"))


@pytest.mark.parametrize(
    ("query", "uri", "says"),
    [
        ("SELECT key, body AS text FROM articles", "sql://warehouse", "the query has no column .id.; it has .key., "),
        ("SELECT 1 AS id, 2 AS id, 'x' AS text", "sql://warehouse", "several columns named 'id'"),
        ("SELECT 1", "sql://nowhere", "nowhere"),
        ("SELECT 1", "sql://cluster", "no database with SQL|no_such_type"),
        ("SELECT 1", "sql://unknown", "'no_such', which no installed provider .* has a hook for"),
        ("SELECT 1", "sql://generic", "'generic', which no installed provider .* store the connection anew"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused(
    query: str, uri: str, says: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, kind in (("CLUSTER", "http"), ("UNKNOWN", "no_such"), ("GENERIC", "generic")):
        monkeypatch.setenv(f"AIRFLOW_CONN_{name}", f'{{"conn_type": "{kind}", "host": "127.0.0.1"}}')
    with pytest.raises(AirflowFailException, match=says):
        prepared(run, query, uri)


def test_the_databases_own_words_are_handed_on(run: Run) -> None:
    with pytest.raises(Unavailable, match=r"sql://warehouse: OperationalError: no such table: article.*next try"):
        prepared(run, "SELECT id, text FROM article")
