"""Calls of connectors with the protocol `aws_sigv4`: which keys they take, and the headers they send.

The rules are AwsConnector's and ConnectorUtils', https://github.com/opensearch-project/ml-commons. Which headers are
signed was compared with what real servers of both versions sent.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from sandbox.ml_commons_face.errors import illegal_argument

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from sandbox.ml_commons_face.connector import Connector

PROTOCOL = "aws_sigv4"


def check(credential: Mapping[str, Any], parameters: Mapping[str, Any]) -> None:
    """A role (`roleArn`) alone is for Amazon's managed service: the plugin refuses it."""
    if "access_key" not in credential or "secret_key" not in credential:
        raise illegal_argument("Missing credential")
    for name, words in (("service_name", "Missing service name"), ("region", "Missing region")):
        if name not in credential and name not in parameters:
            raise illegal_argument(words)


def signed(
    connector: Connector, method: str, url: str, headers: dict[str, str], body: bytes, *, is_3x: bool
) -> dict[str, str]:
    """The headers with those of the signature; 3.x sends the hash of the body as one of them, 2.x only signs it."""
    given = connector.credential
    keys = Credentials(given["access_key"], given["secret_key"], given.get("session_token"))
    service, region = (connector.parameters.get(name) or given[name] for name in ("service_name", "region"))
    request = AWSRequest(method, url, headers | {"Content-Length": str(len(body))}, body)
    if is_3x:
        request.headers["x-amz-content-sha256"] = hashlib.sha256(body).hexdigest()
    SigV4Auth(keys, service, region).add_auth(request)
    return {name: str(value) for name, value in request.headers.items()}
