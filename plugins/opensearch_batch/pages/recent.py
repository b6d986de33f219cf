"""RecentRuns: the summaries of the last days, read once a minute by each API server: ten thousand of them take longer
than all the rest of a page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from opensearch_batch.pages.stored import Ended

FRESH_SECONDS = 60.0


@dataclass
class RecentRuns:
    """`clock` counts seconds."""

    clock: Callable[[], float]
    _read_at: float | None = None
    _since: datetime | None = None
    _ended: list[Ended] = field(default_factory=list)

    def since(self, day: datetime, read: Callable[[datetime], Iterable[Ended]]) -> list[Ended]:
        """Return what `read` yields of the runs since that day, as it was at most FRESH_SECONDS ago."""
        now = self.clock()
        if self._since != day or self._read_at is None or now - self._read_at >= FRESH_SECONDS:
            self._ended, self._since, self._read_at = list(read(day)), day, now
        return self._ended
