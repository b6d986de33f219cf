"""Waits that are bounded by progress: a busy machine gets on slowly, what is broken does not get on at all."""

from __future__ import annotations

import time
from collections.abc import Callable


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
