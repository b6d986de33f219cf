"""The key of a call, said back in an error by whoever was asked, in the forms that servers and gateways write it."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING
from urllib.parse import quote

import orjson

from sandbox.aws_face.caller import AWSError
from sandbox.aws_face.errors import render
from sandbox.cluster_trouble import Answer
from sandbox.cohere_face.errors import CohereError
from sandbox.ml_commons_face.errors import OpenSearchError
from sandbox.openai_face.errors import OpenAIError

if TYPE_CHECKING:
    from collections.abc import Mapping

COHERE = re.compile("^/v1/(embed-jobs|datasets|embed$)")
SCOPE = re.compile("Credential=[^,]+/([a-z0-9-]+)/aws4_request")


def echo(path: str, headers: Mapping[str, str], body: bytes, status: int, key: str = "") -> Answer:
    """An error that shows `key`, else the keys that the call came with; `headers` have small letters."""
    sent = headers.get("authorization", "")
    keys = [key] if key else [*_keys_of(sent), *_credential_in(body)]
    message = " ".join([f"You sent {sent}.", *map(words, keys)])
    if path.startswith("/aws"):
        scope = SCOPE.search(sent)
        made = render(AWSError(status, "ValidationException", message), scope[1] if scope else "")
        return Answer(status, bytes(made.body).decode(), {"content-type": made.headers["content-type"]})
    if COHERE.search(path):
        return Answer(status, CohereError(status, message).to_dict(), {})
    if path.startswith("/v1"):
        return Answer(status, OpenAIError(status, message).to_dict(), {})
    return Answer(status, OpenSearchError(status, "status_exception", message).to_dict(), {})


def words(key: str) -> str:
    in_base64 = base64.b64encode(key.encode()).decode()
    forms = (key, key[::-1], quote(key, safe=""), in_base64, json.dumps(key))
    return f"Incorrect key {', '.join(forms)}."


def _keys_of(sent: str) -> list[str]:
    scheme, _, value = sent.partition(" ")
    if scheme.lower() == "basic":
        return [base64.b64decode(value).decode().partition(":")[2]]
    return [value] if scheme.lower() == "bearer" else []


def _credential_in(body: bytes) -> list[str]:
    """Of a connector."""
    try:
        credential = orjson.loads(body)["credential"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return []
    return [str(value) for value in credential.values()]
