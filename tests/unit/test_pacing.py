"""When to look again."""

from __future__ import annotations

import pytest

from opensearch_batch.wait.pacing import pause_seconds

MINUTE, HOUR = 60.0, 3600.0


@pytest.mark.parametrize(
    ("shortest", "waited", "left", "pause"),
    [
        (60, 0, None, 60),
        (60, 10 * MINUTE, None, 60),
        (60, 50 * MINUTE, None, 300),
        (60, 20 * HOUR, None, 600),
        (2, 20 * HOUR, None, 20),
        (1800, 20 * HOUR, None, 1800),
        (60, 5 * HOUR, 4 * MINUTE, 120),
        (60, 5 * HOUR, 0.0, 60),
        (60, 30 * MINUTE, 10 * HOUR, 180),
    ],
    ids=[
        "at first what the user set",
        "as long as a tenth of the wait is less",
        "then a tenth of the wait",
        "ten minutes at most",
        "ten times what the user set at most",
        "never less than that",
        "half of what is left",
        "nothing is left",
        "a far end changes nothing",
    ],
)
def test_a_pause_grows_with_the_wait_and_shrinks_near_the_end(
    shortest: float, waited: float, left: float | None, pause: float
) -> None:
    assert pause_seconds(shortest, waited, left) == pause


def test_a_day_of_waiting_is_less_than_two_hundred_looks() -> None:
    waited, looks = 0.0, 0
    while waited < 24 * HOUR:
        waited += pause_seconds(60, waited, None)
        looks += 1
    assert 100 < looks < 200
