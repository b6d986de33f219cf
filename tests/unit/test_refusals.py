"""A vendor's refusal by its status, and the pause that comes with it."""

from __future__ import annotations

import pytest

from opensearch_batch.errors import BatchError, Refused, Throttled, Unavailable
from opensearch_batch.providers.refusals import refusal

DATES = {"Date": "Fri, 27 Nov 2026 12:00:00 GMT", "Retry-After": "Fri, 27 Nov 2026 12:00:09 GMT"}


@pytest.mark.parametrize(
    ("status", "kind", "pause"),
    [
        (429, Throttled, 9.0),
        (503, Unavailable, 9.0),
        (500, Unavailable, 9.0),
        (408, Unavailable, 9.0),
        (409, Unavailable, 9.0),
        (400, Refused, None),
        (401, Refused, None),
        (404, Refused, None),
    ],
)
def test_a_status_is_passing_or_final(status: int, kind: type[BatchError], pause: float | None) -> None:
    found = refusal("upload a", status, DATES)
    assert (type(found), found.status, found.retry_after_seconds) == (kind, status, pause)
    assert ("Check the key" in str(found)) == (status == 401)


def test_a_vendors_own_statuses_count_instead() -> None:
    assert type(refusal("upload a", 409, {}, passing=())) is Refused
    assert type(refusal("upload a", 499, {}, passing=(499,))) is Unavailable
    assert "Check the key" in str(refusal("upload a", 498, {}, of_the_key=(498,)))
    assert str(refusal("upload a", 401, {}, of_the_key=())) == "upload a"
