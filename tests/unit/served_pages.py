"""The pages as Airflow's API server serves them, over a database in memory, and what stands in their tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from fastapi.testclient import TestClient

from opensearch_batch.pages import plugin
from opensearch_batch.pages.address import path_of_run
from tests.unit.airflow_database import Database

if TYPE_CHECKING:
    import pytest


class Manager:
    """Lets a user read what the tasks of the named DAGs push."""

    def __init__(self, *dag_ids: str) -> None:
        self.dag_ids = dag_ids

    def is_authorized_dag(self, *, details: Any, access_entity: Any, **_: Any) -> bool:
        assert details.team_name == f"team of {details.id}"
        return details.id in self.dag_ids and access_entity.name == "XCOM"


class Pages:
    def __init__(self, client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
        self._client, self._monkeypatch = client, monkeypatch

    def readable(self, *dag_ids: str) -> None:
        """What Airflow lets the user read."""
        for module in ("airflow.api_fastapi.app", "airflow.api_fastapi.core_api.security"):
            self._monkeypatch.setattr(f"{module}.get_auth_manager", lambda: Manager(*dag_ids))

    def get(self, path: str = "/") -> Any:
        return self._client.get(path)

    def run(self, dag_id: str, run_id: str) -> Any:
        return self.get(f"/{path_of_run(dag_id, run_id)}")


@contextmanager
def serving(airflow: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pages]:
    """To somebody who is logged in, and may read nothing yet."""
    from airflow.api_fastapi.core_api.security import get_user

    @contextmanager
    def session() -> Iterator[Any]:
        yield airflow.session

    monkeypatch.setattr("airflow.utils.session.create_session", session)
    monkeypatch.setattr("airflow.models.dag.DagModel.get_team_name", lambda dag_id: f"team of {dag_id}")
    (served,) = plugin.RunPages().fastapi_apps
    served["app"].dependency_overrides[get_user] = lambda: SimpleNamespace(name="somebody")
    with TestClient(served["app"]) as client:
        pages = Pages(client, monkeypatch)
        pages.readable()
        yield pages


class _Tables(HTMLParser):
    """Cells need no end: the next cell, row or table is their end."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self._in_cell = self._in_title = False

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        self._in_cell = tag in ("td", "th") or (self._in_cell and tag not in ("tr", "table"))
        self._in_title = tag == "title"

    def handle_endtag(self, tag: str) -> None:
        self._in_cell = self._in_cell and tag != "table"
        self._in_title = self._in_title and tag != "title"

    def handle_data(self, data: str) -> None:
        if self._in_cell and not self._in_title:
            self.rows[-1][-1] += data.strip()


def rows_of(page: str) -> list[list[str]]:
    """The texts of the cells of all tables, by row; tooltips are no text."""
    tables = _Tables()
    tables.feed(page)
    return tables.rows


def values_of(page: str) -> dict[str, str]:
    """What stands beside each name in the tables of two columns."""
    return dict(row for row in rows_of(page) if len(row) == 2)


def table_of(page: str, *heading: str) -> list[dict[str, str]]:
    """The rows of the table that has these columns, by column; none where there is no such table."""
    rows = rows_of(page)
    for at, names in enumerate(rows):
        if set(heading) <= set(names):
            return [dict(zip(names, row, strict=True)) for row in rows[at + 1 :] if len(row) == len(names)]
    return []
