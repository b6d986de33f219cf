"""Refusals: a key refused during a wait may be on the way of being replaced, so that a refusal must stand before the
refusal ends the wait. Values in, values out: no clock.
"""

from __future__ import annotations

from typing import Any

from opensearch_batch.errors import BatchError

STANDS_SECONDS = 300.0
LOOKS = 3
"""A refusal is final after both: so many looks in a row, and so long since the first look of the row."""

REFUSED_KEY = frozenset([401, 403])
"""HTTP statuses, and the meaning of each vendor's own codes for a refused key."""


def is_refused_key(error: BatchError) -> bool:
    return error.status in REFUSED_KEY


class Refusals:
    """First look (seconds of the caller's clock) and number of refused looks in a row, by job id."""

    def __init__(self, noted: object = None) -> None:
        known = noted if isinstance(noted, dict) else {}
        self._stood: dict[str, tuple[float, int]] = {
            job_id: (float(since), int(looks)) for job_id, (since, looks) in known.items()
        }

    def is_final(self, job_id: str, error: BatchError, now: float) -> bool:
        """Note a failed look at `now`. An error other than a refused key is final at once."""
        if not is_refused_key(error):
            return True
        since, looks = self._stood.get(job_id, (now, 0))
        self._stood[job_id] = (since, looks + 1)
        return looks + 1 >= LOOKS and now - since >= STANDS_SECONDS

    def answered(self, job_id: str) -> None:
        self._stood.pop(job_id, None)

    def noted(self) -> dict[str, Any]:
        """Return the notes as JSON values, for `Refusals(noted)`."""
        return {job_id: list(stood) for job_id, stood in self._stood.items()}


def patience(error: BatchError) -> str:
    """The line for the log."""
    return (
        f"the key is refused; the next look reads the connection anew, and only a refusal that stands for "
        f"{STANDS_SECONDS / 60:.0f} minutes and {LOOKS} looks ends the wait: {error}"
    )
