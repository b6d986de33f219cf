"""Whether a request was signed with the secret of its key: botocore's own signer computes the signature again.

https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html. Not checked: how old a header signature is,
and the signatures of the single chunks of a streamed upload (the one of the request is).
"""

from __future__ import annotations

import hashlib
import hmac
import time
from calendar import timegm
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials

from sandbox.aws_face.errors import trouble

if TYPE_CHECKING:
    from typing import Any

    from starlette.requests import Request

    from sandbox.aws_face.keys import Key

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED = "UNSIGNED-PAYLOAD"


@dataclass(frozen=True)
class Signed:
    """What a request says of its signature; `seconds` is how long a presigned URL is good, None for a header."""

    access_key: str
    day: str
    region: str
    service: str
    headers: tuple[str, ...]
    signature: str
    timestamp: str
    token: str | None
    seconds: int | None = None


def read(request: Request) -> Signed | None:
    """None if there is no signature of version 4 that can be taken apart."""
    query = dict(parse_qsl(request.url.query, keep_blank_values=True))
    scheme, _, rest = request.headers.get("authorization", "").partition(" ")
    if scheme == ALGORITHM:
        given = dict(part.strip().partition("=")[::2] for part in rest.split(","))
        token = request.headers.get("x-amz-security-token")
        timestamp = request.headers.get("x-amz-date", "")
        return _signed(given, timestamp, token, None)
    if query.get("X-Amz-Algorithm") == ALGORITHM:
        given = {name.removeprefix("X-Amz-"): value for name, value in query.items()}
        expires = given.get("Expires", "")
        seconds = int(expires) if expires.isdigit() else 0
        return _signed(given, given.get("Date", ""), given.get("Security-Token"), seconds)
    return None


def is_of_version_2(request: Request) -> bool:
    return "AWSAccessKeyId" in request.query_params or request.headers.get("authorization", "").startswith("AWS ")


def check(request: Request, body: bytes, signed: Signed, key: Key) -> None:
    """Raises AWSError in the words of the service that was called."""
    if key.is_expired:
        raise trouble(signed.service, "expired")
    if key.token != signed.token:
        raise trouble(signed.service, "token")
    if signed.seconds is not None and time.time() > _seconds(signed) + signed.seconds:
        raise trouble(signed.service, "late")
    if not hmac.compare_digest(_signature(request, body, signed, key), signed.signature):
        raise trouble(signed.service, "signature")
    claimed = request.headers.get("x-amz-content-sha256", "")
    if len(claimed) == 64 and claimed != hashlib.sha256(body).hexdigest():
        raise trouble(signed.service, "signature", "The provided x-amz-content-sha256 header does not match the body.")


def _signed(given: dict[str, str], timestamp: str, token: str | None, seconds: int | None) -> Signed | None:
    scope = given.get("Credential", "").rsplit("/", 4)
    if len(scope) != 5 or not timestamp:
        return None
    access_key, day, region, service, _ = scope
    headers = tuple(given.get("SignedHeaders", "").split(";"))
    return Signed(access_key, day, region, service, headers, given.get("Signature", ""), timestamp, token, seconds)


def _seconds(signed: Signed) -> float:
    try:
        return float(timegm(time.strptime(signed.timestamp, "%Y%m%dT%H%M%SZ")))
    except ValueError:
        return 0.0


def _signature(request: Request, body: bytes, signed: Signed, key: Key) -> str:
    path = request.scope["raw_path"].decode("ascii")
    query = "&".join(part for part in request.url.query.split("&") if not part.startswith("X-Amz-Signature="))
    again = AWSRequest(request.method, f"http://host{path}?{query}", data=body)
    again.context["timestamp"] = signed.timestamp
    # Repeated headers are one line with commas, as they were signed.
    for name in signed.headers:
        again.headers[name] = ",".join(request.headers.getlist(name))
    claimed = request.headers.get("x-amz-content-sha256")
    if claimed is None:
        is_open = signed.service == "s3" and signed.seconds is not None
        claimed = UNSIGNED if is_open else hashlib.sha256(body).hexdigest()
    credentials = Credentials(key.access_key, key.secret_key)
    signer = _signer(signed.service)(credentials, signed.service, signed.region)
    signer.named, signer.claimed = signed.headers, claimed
    text: str = signer.string_to_sign(again, signer.canonical_request(again))
    return str(signer.signature(text, again))


class _AsNamed:
    """Signs the headers that the request names, whichever its client chose, and the payload it claims."""

    named: tuple[str, ...]
    claimed: str

    def headers_to_sign(self, request: Any) -> Any:
        headers = HTTPHeaders()
        for name in self.named:
            headers[name] = request.headers[name]
        return headers

    def payload(self, request: Any) -> str:
        return self.claimed


class _Usual(_AsNamed, SigV4Auth):  # type: ignore[misc]
    pass


class _OfS3(_AsNamed, S3SigV4Auth):  # type: ignore[misc]
    pass


def _signer(service: str) -> Any:
    return _OfS3 if service == "s3" else _Usual
