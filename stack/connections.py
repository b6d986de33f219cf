"""Airflow's connections to what the stack runs, as environment variables."""

from __future__ import annotations

import json
import urllib.parse


def cluster(url: str) -> dict[str, str]:
    at = urllib.parse.urlsplit(url)
    return _variable(
        "opensearch_default", {"conn_type": "http", "schema": at.scheme, "host": at.hostname, "port": at.port}
    )


def provider(url: str) -> dict[str, str]:
    """A sandbox as the provider: its API is below /v1, any key will do."""
    key = "sk-sandbox-not-a-secret"
    return _variable("openai_default", {"conn_type": "openai", "host": f"{url}/v1", "password": key})


def _variable(conn_id: str, connection: dict[str, object]) -> dict[str, str]:
    return {f"AIRFLOW_CONN_{conn_id.upper()}": json.dumps(connection)}
