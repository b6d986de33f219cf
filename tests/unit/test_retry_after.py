"""The pause a server asks for, in seconds or as a date."""

from __future__ import annotations

import time
from collections.abc import Iterator
from email.utils import formatdate

import pytest

from opensearch_batch.retry_after import pause_seconds

NOON = "Fri, 27 Nov 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": "Fri, 27 Nov 2026 12:00:30 GMT", "Date": NOON}, 30.0),
        ({"retry-after": "Friday, 27-Nov-26 12:02:00 GMT", "date": NOON}, 120.0),
        ({"Retry-After": "Fri Nov 27 12:00:05 2026", "DATE": NOON}, 5.0),
        ({"Retry-After": "Fri, 27 Nov 2026 11:00:00 GMT", "Date": NOON}, 0.0),
        ({"Retry-After": "Fri, 27 Nov 1026 11:00:00 GMT", "Date": "yesterday"}, 0.0),
        ({}, None),
        ({"Date": NOON}, None),
        *(({"Retry-After": value, "Date": NOON}, None) for value in ("", "-3", "soon", "1.2.3", "²", ".", "7 s")),
    ],
)
def test_the_pause_is_read_in_both_forms(
    monkeypatch: pytest.MonkeyPatch, headers: dict[str, str], seconds: float | None
) -> None:
    """Wherever the machine is."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    assert pause_seconds(headers) == seconds


@pytest.fixture(autouse=True)
def zone_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    yield
    monkeypatch.undo()
    time.tzset()


def test_a_date_without_the_replys_own_counts_from_now() -> None:
    pause = pause_seconds({"Retry-After": formatdate(time.time() + 3600, usegmt=True)})
    assert pause is not None
    assert 3500 < pause <= 3600
