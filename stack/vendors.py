"""What a person sets up on a vendor's side before its demo can run, made in the sandbox."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from sandbox.aws_face.keys import ACCESS_KEY, ACCOUNT, SECRET_KEY
from stack.connections import REGION

VENDORS = ("openai", "sagemaker", "bedrock", "cohere")
BUCKET = "opensearch-batch"
MODEL = "stdlib-embedding"
"""As dags/specs/fill_stdlib_docs_sagemaker.yaml names them."""


def dag_of(vendor: str) -> str:
    return "fill_stdlib_docs" if vendor == VENDORS[0] else f"fill_stdlib_docs_{vendor}"


def files_spec_of(vendor: str) -> str:
    """Name of the vendor's spec that reads and writes files."""
    return dag_of(vendor).replace("fill_", "embed_", 1)


def index_of(vendor: str) -> str:
    """As dags/specs/fill_stdlib_docs*.yaml name it."""
    return "stdlib-docs" if vendor == VENDORS[0] else f"stdlib-docs-{vendor}"


def ask_for(vendor: str, text: str) -> dict[str, Any]:
    """`parameters` of a _predict, as the vendor's connector names them."""
    if vendor == "bedrock":
        return {"inputText": text}
    return {"texts": [text]} if vendor == "cohere" else {"input": [text]}


def set_up(vendor: str, sandbox_url: str) -> None:
    """May be repeated."""
    if vendor in ("sagemaker", "bedrock"):
        make_bucket(sandbox_url)
    if vendor == "sagemaker":
        _make_model(client("sagemaker", sandbox_url))


def make_bucket(sandbox_url: str) -> None:
    """May be repeated."""
    client("s3", sandbox_url).create_bucket(Bucket=BUCKET)


def _make_model(client: Any) -> None:
    from botocore.exceptions import ClientError

    with suppress(ClientError):
        client.describe_model(ModelName=MODEL)
        return
    image = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/embedding:1"
    role = f"arn:aws:iam::{ACCOUNT}:role/transform"
    client.create_model(ModelName=MODEL, ExecutionRoleArn=role, PrimaryContainer={"Image": image})


def client(service: str, sandbox_url: str) -> Any:
    import boto3

    return boto3.client(
        service,
        endpoint_url=f"{sandbox_url}/aws",
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
    )
