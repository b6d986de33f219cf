"""Airflow's connections to what the stack runs, as environment variables."""

from __future__ import annotations

import json
import urllib.parse
from typing import TYPE_CHECKING

from sandbox.aws_face.keys import ACCESS_KEY, SECRET_KEY

if TYPE_CHECKING:
    from collections.abc import Mapping

REGION = "us-east-1"


def cluster(url: str) -> dict[str, str]:
    at = urllib.parse.urlsplit(url)
    return _variable(
        "opensearch_default", {"conn_type": "http", "schema": at.scheme, "host": at.hostname, "port": at.port}
    )


def provider(url: str) -> dict[str, str]:
    """A sandbox as every provider: those with one key take any, AWS the one that is written down for it."""
    openai = {"conn_type": "openai", "host": f"{url}/v1", "password": "sk-sandbox-not-a-secret"}
    cohere = {"conn_type": "http", "host": url, "password": "co-sandbox-not-a-secret"}
    there = {"region_name": REGION, "endpoint_url": f"{url}/aws"}
    aws = {"conn_type": "aws", "login": ACCESS_KEY, "password": SECRET_KEY, "extra": there}
    return {
        **_variable("openai_default", openai),
        **_variable("cohere_default", cohere),
        **_variable("aws_default", aws),
    }


def _variable(conn_id: str, connection: Mapping[str, object]) -> dict[str, str]:
    return {f"AIRFLOW_CONN_{conn_id.upper()}": json.dumps(connection)}
