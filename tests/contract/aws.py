"""boto3 against the sandbox, with its plainly made-up keys."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.config import Config

from sandbox.aws_face.keys import ACCESS_KEY, SECRET_KEY

REGION = "us-east-1"


def client(
    url: str,
    service: str,
    *,
    key: str = ACCESS_KEY,
    secret: str = SECRET_KEY,
    token: str | None = None,
    region: str = REGION,
) -> Any:
    """One try a call; S3 by path."""
    return boto3.Session(key, secret, token, region).client(
        service,
        endpoint_url=f"{url}/aws",
        config=Config(
            signature_version="s3v4" if service == "s3" else None,
            retries={"total_max_attempts": 1},
            s3={"addressing_style": "path"},
            proxies={},
            connect_timeout=10,
            read_timeout=30,
        ),
    )


def assumed(url: str, service: str, role: str = "arn:aws:iam::123456789012:role/batch") -> Any:
    """A client with the temporary keys of a role."""
    answer = client(url, "sts").assume_role(RoleArn=role, RoleSessionName="test")
    keys = answer["Credentials"]
    return client(url, service, key=keys["AccessKeyId"], secret=keys["SecretAccessKey"], token=keys["SessionToken"])
