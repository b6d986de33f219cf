"""The fixed members of a connector's request_body, beside the ${parameters.…}."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson


def members(values: Mapping[str, Any]) -> str:
    """Return the members as text, in the order of names, for the end of a body."""
    return "".join(f", {_json(key)}: {_json(value)}" for key, value in sorted(values.items()))


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
