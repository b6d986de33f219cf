"""Finishing: the moment at which a run's wait for batches ends, by `wait.finish_by`."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo

END_SECONDS = 1800.0
"""So long after its cancellation a batch may take to end: https://github.com/BerriAI/litellm/pull/37205 saw twenty-five
minutes.
"""


def finish_at(finish_by: float | str, started_at: datetime, timezone: tzinfo) -> float:
    """Return the epoch seconds: hours after the run's start, or the first such time of day after the start.

    A time of day that the clocks skip comes as much later as they skip; of a time that comes twice the first counts.
    """
    if not isinstance(finish_by, str):
        return started_at.timestamp() + finish_by * 3600
    hour, minute = map(int, finish_by.split(":"))
    day = started_at.astimezone(timezone).date()
    while (at := datetime(day.year, day.month, day.day, hour, minute, tzinfo=timezone)).timestamp() <= (
        started_at.timestamp()
    ):
        day += timedelta(days=1)
    return at.timestamp()
