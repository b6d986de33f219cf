"""An error in the words of the protocol it is answered in: S3's XML, STS's XML, or JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

import orjson
from starlette.responses import Response

from sandbox.aws_face.caller import AWSError
from sandbox.ids import opensearch_id

if TYPE_CHECKING:
    from collections.abc import Mapping

NO_MATCH = (
    "The request signature we calculated does not match the signature you provided. "
    "Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
)
BAD_TOKEN = "The security token included in the request is invalid."
OLD_TOKEN = "The security token included in the request is expired"
NO_TOKEN = "Request is missing Authentication Token"
DENIED = "Access Denied"
OLD_VERSION = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."
# What is wrong with a key, by the service: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html,
# https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html,
# https://docs.aws.amazon.com/bedrock/latest/APIReference/CommonErrors.html; wordings of the JSON services not verified.
S3 = {
    "unknown": (403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."),
    "signature": (403, "SignatureDoesNotMatch", NO_MATCH),
    "token": (400, "InvalidToken", "The provided token is malformed or otherwise invalid."),
    "expired": (400, "ExpiredToken", "The provided token has expired."),
    "missing": (403, "AccessDenied", DENIED),
    "denied": (403, "AccessDenied", DENIED),
    "late": (403, "AccessDenied", "Request has expired"),
    "not_served": (501, "NotImplemented", ""),
    "old_version": (400, "InvalidRequest", OLD_VERSION),
}
STS = {
    "unknown": (403, "InvalidClientTokenId", BAD_TOKEN),
    "signature": (403, "SignatureDoesNotMatch", NO_MATCH),
    "token": (403, "InvalidClientTokenId", BAD_TOKEN),
    "expired": (403, "ExpiredToken", OLD_TOKEN),
    "missing": (403, "MissingAuthenticationToken", NO_TOKEN),
    "denied": (403, "AccessDenied", DENIED),
    "late": (403, "SignatureDoesNotMatch", "Signature expired"),
    "not_served": (501, "NotImplemented", ""),
    "old_version": (400, "InvalidRequest", OLD_VERSION),
}
JSON = {
    "unknown": (403, "UnrecognizedClientException", BAD_TOKEN),
    "signature": (403, "InvalidSignatureException", NO_MATCH),
    "token": (403, "UnrecognizedClientException", BAD_TOKEN),
    "expired": (403, "ExpiredTokenException", OLD_TOKEN),
    "missing": (403, "MissingAuthenticationTokenException", NO_TOKEN),
    "denied": (403, "AccessDeniedException", "User is not authorized to perform this action"),
    "late": (403, "InvalidSignatureException", "Signature expired"),
    "not_served": (501, "UnknownOperationException", ""),
    "old_version": (400, "InvalidSignatureException", OLD_VERSION),
}


def trouble(service: str, what: str, message: str = "") -> AWSError:
    """One of the keys of the tables above, in the service's words."""
    status, code, usual = _table(service)[what]
    return AWSError(status, code, message or usual)


def render(error: AWSError, service: str, *, is_head: bool = False, more: Mapping[str, str] | None = None) -> Response:
    request_id = opensearch_id()
    headers = {"x-amzn-RequestId": request_id, **(more or {})}
    if service == "s3":
        head = '<?xml version="1.0" encoding="UTF-8"?>\n'
        text = f"{head}<Error>{_xml(error)}<RequestId>{request_id}</RequestId></Error>"
        headers = {"x-amz-request-id": request_id}
        return Response("" if is_head else text, error.status, headers, media_type="application/xml")
    if service == "sts":
        inside = f"<Error><Type>Sender</Type>{_xml(error)}</Error><RequestId>{request_id}</RequestId>"
        opening = '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
        return Response(f"{opening}{inside}</ErrorResponse>", error.status, headers, media_type="text/xml")
    headers["x-amzn-ErrorType"] = error.code
    if service == "bedrock":
        body, kind = {"message": error.message}, "application/json"
    else:
        body, kind = {"__type": error.code, "message": error.message}, "application/x-amz-json-1.1"
    return Response(orjson.dumps(body), error.status, headers, media_type=kind)


def _table(service: str) -> dict[str, tuple[int, str, str]]:
    return {"s3": S3, "sts": STS}.get(service, JSON)


def _xml(error: AWSError) -> str:
    return f"<Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>"
