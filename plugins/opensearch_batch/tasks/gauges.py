"""Gauges: what the waits of this triggerer hold just now. A triggerer is the only process that knows while tasks are
deferred.

A thread of its own tells them: looking up the host of a metrics system that is down takes seconds, and the event loop
has all triggers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from opensearch_batch.land.metric_names import PREFIX
from opensearch_batch.tasks.metrics import clean_tags, worth_no_run

_THREAD = ThreadPoolExecutor(1, thread_name_prefix="opensearch-batch-metrics")

Tags = tuple[tuple[str, str], ...]


@dataclass(eq=False)
class Held:
    """The part of one wait."""

    tags: Tags
    count: int = 0


class Gauge:
    """A sum over the waits of this process, by tags. `name` stands behind PREFIX."""

    def __init__(self, name: str) -> None:
        self.name = f"{PREFIX}.{name}"
        self._held: list[Held] = []
        self._due: set[Tags] = set()

    @contextmanager
    def joined(self, ti: Any, provider: str) -> Iterator[Callable[[int], None]]:
        """Yield what a wait tells its count to; its part is taken back when the wait is over, however it ends. Outside
        a triggerer, where `ti` is None, nothing is told.
        """
        if ti is None:
            yield lambda count: None
            return
        held = Held(tuple(clean_tags(dag_id=ti.dag_id, provider=provider).items()))

        def told(count: int) -> None:
            held.count = count
            self._tell(held.tags)

        self._held.append(held)
        try:
            yield told
        finally:
            self._held.remove(held)
            self._tell(held.tags)

    def _tell(self, tags: Tags) -> None:
        """Leave it to the thread, once: what is told later is read there."""
        if tags not in self._due:
            self._due.add(tags)
            _THREAD.submit(self._send, tags)

    def _send(self, tags: Tags) -> None:
        """Airflow sets up the metrics of a triggerer in its core, those of a task in its SDK."""
        self._due.discard(tags)
        with worth_no_run():
            from airflow.observability import stats
            from airflow.utils.net import get_hostname

            count = sum(held.count for held in [*self._held] if held.tags == tags)
            host = clean_tags(hostname=get_hostname())  # type: ignore[no-untyped-call]
            stats.gauge(self.name, count, tags={**dict(tags), **host})


JOBS_IN_FLIGHT = Gauge("jobs_in_flight")
WAITING_FOR_TURN = Gauge("waiting_for_turn")
