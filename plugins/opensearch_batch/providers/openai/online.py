"""A row of text asked online: the body of its line, and the answer as a line of an output file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

WRITING = ("/v1/chat/completions", "/v1/responses")


def online_body(line: Mapping[str, Any]) -> Mapping[str, Any] | None:
    return line["body"] if line["url"] in WRITING else None


def online_line(name: str, said: Any) -> bytes:
    return orjson.dumps({"custom_id": name, "response": {"status_code": 200, "body": said}})
