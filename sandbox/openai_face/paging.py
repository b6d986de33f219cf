"""List answers: `after`, `limit`, `order`, and the lag that real list calls can have."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from sandbox.openai_face.errors import OpenAIError

if TYPE_CHECKING:
    from starlette.requests import Request

    from sandbox.box import Box


def page(request: Request, items: list[dict[str, Any]], default: int, most: int) -> dict[str, Any]:
    """`items` come oldest first; the answer is newest first unless `order=asc`."""
    query = request.query_params
    if query.get("order", "desc") != "asc":
        items = items[::-1]
    after = query.get("after")
    if after is not None:
        ids = [item["id"] for item in items]
        if after not in ids:
            raise OpenAIError(400, f"No object with id '{after}' to list after.", param="after")
        items = items[ids.index(after) + 1 :]
    limit = _limit(query.get("limit"), default, most)
    shown = items[:limit]
    return {
        "object": "list",
        "data": shown,
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
        "has_more": len(items) > limit,
    }


def newest_shown(box: Box, request: Request) -> float:
    """Epoch seconds; a list call does not know what was made after it."""
    lag = box.faults.take("list_lag", request.method, request.url.path)
    return time.time() - lag.number("seconds", 0) if lag else float("inf")


def _limit(text: str | None, default: int, most: int) -> int:
    if text is None:
        return default
    if not text.isdigit() or not 1 <= int(text) <= most:
        message = f"Invalid 'limit': expected an integer between 1 and {most}, but got {text} instead."
        raise OpenAIError(400, message, param="limit", code="invalid_value")
    return int(text)
