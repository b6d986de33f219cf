"""Jobs that are run one after the other, in a thread of their own."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterable

log = logging.getLogger(__name__)


class Stopped(Exception):
    """The sandbox goes down, or this run of a job counts no more: leave it as a kill would."""


class Backlog:
    """`run` gets a job's id, and `failed` that of one which it could not run, with what it raised."""

    def __init__(self, name: str, run: Callable[[str], None], failed: Callable[[str, Exception], None]) -> None:
        self._name, self._run_job, self._failed = name, run, failed
        self._queue: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def stopping(self) -> bool:
        """A run that takes long looks at it from time to time, and raises Stopped."""
        return self._stopping.is_set()

    def start(self, ids: Iterable[str]) -> None:
        """Begin with these, which a stop or a kill has left."""
        self._stopping.clear()
        self._queue = queue.SimpleQueue()
        for id_ in ids:
            self._queue.put(id_)
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def take(self, id: str) -> None:
        self._queue.put(id)

    def stop(self) -> None:
        self._stopping.set()
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while (id_ := self._queue.get()) is not None and not self.stopping:
            try:
                self._run_job(id_)
            except Stopped:
                continue
            except Exception as error:
                log.exception("job %s: the sandbox itself failed", id_)
                self._failed(id_, error)
