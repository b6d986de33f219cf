"""Operators run in the test's own process against a real cluster, connections in the environment."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from opensearch_batch.spec import BatchSpec
from opensearch_batch.tasks.model import CreateConnectorOperator, RegisterModelOperator
from stack.airflow import CHECKOUT
from tests.sandbox.bench import Run

SPEC = BatchSpec.load(CHECKOUT / "dags" / "specs" / "embed_stdlib_docs.yaml").to_dict()
Use = Callable[..., None]


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Use:
    """Make the cluster at this URL the one of the connection opensearch_default."""

    def used(url: str, **fields: Any) -> None:
        at = urlsplit(url)
        connection = {"conn_type": "http", "schema": at.scheme, "host": at.hostname, "port": at.port, **fields}
        monkeypatch.setenv("AIRFLOW_CONN_OPENSEARCH_DEFAULT", json.dumps(connection))

    return used


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def create_connector(run: Run, **arguments: Any) -> str:
    return str(run.execute(CreateConnectorOperator(task_id="create_connector", spec=SPEC, **arguments)))


def register_model(run: Run, connector_id: str, **arguments: Any) -> str:
    operator = RegisterModelOperator(task_id="register_model", spec=SPEC, connector_id=connector_id, **arguments)
    return str(run.execute(operator))


def statuses(log: str, path: str) -> list[int]:
    """Of all answers to requests whose path ends like this, from urllib3's own log at level DEBUG."""
    return [int(found) for found in re.findall(rf'{re.escape(path)} HTTP/1.1" (\d+)', log)]
