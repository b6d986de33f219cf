"""What the sides at an index share: opensearch-py's interpreter, and our tasks' way to the cluster."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from benchmarks.venvs import python_with

if TYPE_CHECKING:
    from opensearch_batch.cluster.ml_commons import Call
    from opensearch_batch.sinks.bulk import Send

CLIENT = "opensearch-py==3.0.0"


def python() -> str:
    """The interpreter of the client's venv."""
    return python_with("opensearch-py", CLIENT, "orjson")


def sending(url: str) -> Send:
    """The way to the cluster that tasks have."""
    import os

    at = urlsplit(url)
    connection = {"conn_type": "http", "schema": "http", "host": at.hostname, "port": at.port}
    os.environ["AIRFLOW_CONN_BENCH"] = json.dumps(connection)
    from opensearch_batch.tasks.base import cluster

    send = cluster("bench")

    def sent(call: Call) -> Any:
        return send(call)

    return sent
