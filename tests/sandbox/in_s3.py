"""A bucket of the sandbox's S3, and a process that has seen nothing of S3 before."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.sandbox.bench import Server
from tests.vendors.vendors import BUCKET, aws, aws_connection

BASE = f"s3://aws_default@{BUCKET}"


@pytest.fixture
def a_process_of_its_own() -> Iterator[None]:
    """As each task has: Airflow and fsspec keep a storage they made, with its key, as long as their process lives."""
    yield
    from airflow.sdk.io import store as kept_storages
    from s3fs import S3FileSystem

    kept_storages._STORE_CACHE.clear()
    S3FileSystem.clear_instance_cache()


@pytest.fixture
def s3(a_process_of_its_own: None, server: Server, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", aws_connection(server))
    client = aws(server, "s3")
    client.create_bucket(Bucket=BUCKET)
    return client


def put(s3: Any, key: str, rows: list[dict[str, Any]]) -> None:
    s3.put_object(Bucket=BUCKET, Key=key, Body=b"".join(json.dumps(row).encode() + b"\n" for row in rows))


def keys(s3: Any, folder: str = "") -> list[str]:
    return [each["Key"] for each in s3.list_objects_v2(Bucket=BUCKET, Prefix=folder).get("Contents", [])]


def content(s3: Any, uri: str) -> bytes:
    found: bytes = s3.get_object(Bucket=BUCKET, Key=uri.removeprefix(f"{BASE}/"))["Body"].read()
    return found
