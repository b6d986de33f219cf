"""Retry-After, the header: the pause wanted by a server (RFC 9110, section 10.2.3)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime


def pause_seconds(headers: Mapping[str, str]) -> float | None:
    """Return the pause in seconds; None without Retry-After, or for unknown words.

    A date counts from the reply's own Date, else from now: a wrong clock on a machine of ours changes no pause.
    """
    given = {name.lower(): value.strip() for name, value in headers.items()}
    value = given.get("retry-after", "")
    if value.replace(".", "", 1).isdecimal():
        return float(value)
    if (until := _epoch_seconds(value)) is None:
        return None
    since = _epoch_seconds(given.get("date", ""))
    return max(0.0, until - (time.time() if since is None else since))


def _epoch_seconds(date: str) -> float | None:
    """Read an HTTP date, always of Greenwich, also in the form without a zone; None for unknown words."""
    try:
        found = parsedate_to_datetime(date)
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
