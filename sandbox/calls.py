"""Every call that the sandbox received, kept on disk, so that a test can see what was really sent."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sandbox.state import State

KIND = "call"
MAX_BODY_BYTES = 20_000


class Calls:
    """Headers are kept as sent, keys included: the sandbox is for keys that are made up."""

    def __init__(self, state: State) -> None:
        self._state = state

    def began(self, id: str, method: str, path: str, query: str, headers: dict[str, str]) -> None:
        self._state.put(
            KIND,
            id,
            {
                "method": method,
                "path": path,
                "query": query,
                "status": None,
                "headers": headers,
                "body": None,
                "at": time.time(),
            },
        )

    def ended(self, id: str, status: int | None, body: bytes) -> None:
        """`status` None: the connection was cut without an answer."""
        self._state.update(KIND, id, lambda call: call.update(status=status, body=readable(body)))

    def all(self) -> list[dict[str, Any]]:
        return [stored.body for stored in self._state.all(KIND)]

    def clear(self) -> None:
        self._state.clear(KIND)


def readable(body: bytes) -> Any:
    """JSON as a value, other short text as text, anything else as None."""
    if not body or len(body) > MAX_BODY_BYTES:
        return None
    try:
        return json.loads(body)
    except ValueError:
        try:
            return body.decode()
        except UnicodeDecodeError:
            return None
