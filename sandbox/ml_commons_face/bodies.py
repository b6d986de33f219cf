"""Request bodies as OpenSearch reads them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sandbox.ml_commons_face.errors import OpenSearchError

if TYPE_CHECKING:
    from starlette.requests import Request


async def read(request: Request, absent: str = "request body is required") -> dict[str, Any]:
    """The JSON object of the body; `absent` is the reason given when there is none."""
    raw = await request.body()
    if not raw.strip():
        raise OpenSearchError(400, "parse_exception", absent)
    try:
        body = json.loads(raw)
    except ValueError as error:
        raise OpenSearchError(400, "json_parse_exception", f"the body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise OpenSearchError(
            400, "parsing_exception", "Failed to parse object: expecting token of type [START_OBJECT]"
        )
    return body
