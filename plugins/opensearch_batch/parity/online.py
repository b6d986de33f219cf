"""Online answers: the vector of each text by the cluster's `_predict`, a few at once, waiting where it is throttled."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from opensearch_batch.cluster.ml_commons import Call, predict
from opensearch_batch.errors import BatchError, Refused, Transient

log = logging.getLogger(__name__)

AT_ONCE = 4
FIRST = 3
"""Where so many texts are refused and none is answered, no further text is asked for."""
LONGEST_WAIT_SECONDS = 600.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 60.0

Send = Callable[[Call], Any]


@dataclass(frozen=True)
class Answered:
    """A vector, or why there is none."""

    vector: Sequence[float] | None
    refusal: str = ""


def embed(
    send: Send,
    model_id: str,
    asked: Sequence[dict[str, Any]],
    pause: Callable[[float], object] = time.sleep,
) -> list[Answered]:
    """Return the answers in the order of `asked`, the `parameters` of a _predict each; fewer where the first ones were
    all refused. Raise Transient for a model that is throttled or away for longer than ten minutes.
    """
    waiter = _Waiter(pause)
    first = [waiter.ask(send, predict(model_id, parameters)) for parameters in asked[:FIRST]]
    if all(answer.vector is None for answer in first):
        return first
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="predict") as pool:
        try:
            rest = list(pool.map(lambda parameters: waiter.ask(send, predict(model_id, parameters)), asked[FIRST:]))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [*first, *rest]


class _Waiter:
    """Pauses of all threads together count against the longest wait."""

    def __init__(self, pause: Callable[[float], object]) -> None:
        self._pause, self._turn, self._waited = pause, threading.Lock(), 0.0

    def ask(self, send: Send, call: Call) -> Answered:
        wait = FIRST_PAUSE_SECONDS
        while True:
            try:
                vectors = send(call)
            except Refused as error:
                return Answered(None, str(error))
            except Transient as error:
                self._wait(error.retry_after_seconds or wait, error)
                wait = min(2 * wait, LONGEST_PAUSE_SECONDS)
                continue
            if len(vectors) != 1:
                return Answered(None, f"{len(vectors)} vectors in the answer to one text: the connector's predict "
                                "action needs a post_process_function")  # fmt: skip
            return Answered(vectors[0])

    def _wait(self, seconds: float, error: BatchError) -> None:
        with self._turn:
            self._waited += seconds
            if self._waited > LONGEST_WAIT_SECONDS * AT_ONCE:
                raise error
        log.info("%s; asked again in %g seconds", error, seconds)
        self._pause(seconds)
