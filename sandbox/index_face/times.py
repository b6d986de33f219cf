"""Dates as OpenSearch takes them: ISO 8601, milliseconds since 1970, and `now` or a date with an offset."""

from __future__ import annotations

import datetime
import re
from typing import Any

UTC = datetime.UTC
NOW = re.compile(r"now(?:([+-])(\d+)([smhdw]))?")
ANCHORED = re.compile(r"(.+)\|\|([+-])(\d+)([smhdw])")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
ISO = re.compile(
    r"(\d{4})(?:[-/](\d\d)(?:[-/](\d\d)(?:[T ](\d\d)(?::(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?)?)?)?"
    r"(Z|[+-]\d\d(?::?\d\d)?)?"
)


def parsed_time(value: Any) -> int | None:
    """Nanoseconds since 1970, or None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return int(value * 1_000_000)
    if not isinstance(value, str):
        return None
    if found := NOW.fullmatch(value):
        offset = int(found[2]) * SECONDS[found[3]] if found[1] else 0
        moment = datetime.datetime.now(UTC).timestamp() + (-offset if found[1] == "-" else offset)
        return int(moment * 1000) * 1_000_000
    if found := ANCHORED.fullmatch(value):
        offset = int(found[3]) * SECONDS[found[4]] * 1_000_000_000
        anchor = _iso(found[1])
        return None if anchor is None else anchor + (-offset if found[2] == "-" else offset)
    if re.fullmatch(r"-?\d{5,}", value):
        return int(value) * 1_000_000
    return _iso(value)


def _iso(value: str) -> int | None:
    found = ISO.fullmatch(value)
    if not found:
        return None
    year, month, day, hour, minute, second = (int(found[n] or (1 if n in (2, 3) else 0)) for n in range(1, 7))
    try:
        moment = datetime.datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    nanos = int((found[7] or "0").ljust(9, "0"))
    zone = found[8]
    if zone and zone != "Z":
        digits = zone[1:].replace(":", "").ljust(4, "0")
        shift = datetime.timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
        moment = moment - shift if zone[0] == "+" else moment + shift
    return int(moment.timestamp()) * 1_000_000_000 + nanos


def shown(nanos: int) -> str:
    """As doc values give a date back."""
    moment = datetime.datetime.fromtimestamp(nanos // 1_000_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{nanos // 1_000_000 % 1000:03d}Z"
