"""What a connector's request_body says itself, beside its ${parameters.…}."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson


def members(values: Mapping[str, Any]) -> str:
    """To follow other members of the body, in the order of their names."""
    return "".join(f", {_json(key)}: {_json(value)}" for key, value in sorted(values.items()))


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
