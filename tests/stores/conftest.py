"""S3 as moto's server has it, for a whole run of these tests; each has a bucket of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

KEYS = {"aws_access_key_id": "AKIAFAKE", "aws_secret_access_key": "fake"}  # as everywhere here: no secret


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def client(s3_url: str, request: pytest.FixtureRequest) -> Any:
    return boto3.client("s3", endpoint_url=s3_url, region_name="us-east-1", **KEYS)


@pytest.fixture
def bucket(client: Any, request: pytest.FixtureRequest) -> str:
    name = f"b-{abs(hash(request.node.nodeid)):x}"
    client.create_bucket(Bucket=name)
    return name
