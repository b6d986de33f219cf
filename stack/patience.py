"""Waits that are bounded by progress: a busy machine gets on slowly, what is broken does not get on at all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

LOOKING_SHARE = 0.2
"""Of the time, at most: looks cost work that what is waited for could do meanwhile."""
T = TypeVar("T")


class Patience:
    """Is over when ``progress()`` has told the same for ``seconds``; it is asked no more often than that."""

    def __init__(self, seconds: float, progress: Callable[[], object]) -> None:
        self.seconds = seconds
        self._progress = progress
        self._until = time.monotonic() + seconds
        self._told: tuple[object, ...] = ()

    @property
    def is_over(self) -> bool:
        if time.monotonic() < self._until:
            return False
        told = (self._progress(),)
        if told == self._told:
            return True
        self._told, self._until = told, time.monotonic() + self.seconds
        return False

    def looks(self, look: Callable[[], T], pause_seconds: float = 0.2) -> Iterator[T]:
        """What each look gives, until patience is over; the pauses grow with what a look takes."""
        while True:
            began = time.monotonic()
            yield look()
            if self.is_over:
                return
            took = time.monotonic() - began
            time.sleep(max(pause_seconds, took * (1 / LOOKING_SHARE - 1)))
