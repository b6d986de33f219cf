"""When to look again: seldom, because a batch takes minutes to hours, and soon where the counts show a near end.

Values in, values out: no clock, no chance.
"""

from __future__ import annotations

GROWTH = 10
"""A pause is a tenth of the wait so far, and at most ten times the shortest one: an end shows up
to about a tenth of the wait late.
"""

LONGEST_SECONDS = 600.0


def pause_seconds(shortest: float, waited: float, left: float | None) -> float:
    """Seconds to the next look. `shortest` is the user's setting and the floor, `waited` the wait so far, `left` the
    rest by the rate of the rows (None: unknown). All in seconds.
    """
    by_age = min(waited / GROWTH, shortest * GROWTH, LONGEST_SECONDS)
    return max(shortest, by_age if left is None else min(by_age, left / 2))
