"""Online answers: the vector of each text by the cluster's `_predict`, a few at once, waiting where it is throttled."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from opensearch_batch.cluster.ml_commons import Call, predict
from opensearch_batch.errors import Refused, Transient

log = logging.getLogger(__name__)

AT_ONCE = 4
FIRST = 3
"""Where so many texts are refused and none is answered, no further text is asked for."""
LONGEST_WAIT_SECONDS = 600.0
"""For one text."""
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
    all refused. Raise Transient for a model that does not take a text for ten minutes.
    """

    def ask(parameters: dict[str, Any]) -> Answered:
        return _ask(send, predict(model_id, parameters), pause)

    first = [ask(parameters) for parameters in asked[:FIRST]]
    if all(answer.vector is None for answer in first):
        return first
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="predict") as pool:
        try:
            rest = list(pool.map(ask, asked[FIRST:]))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [*first, *rest]


def _ask(send: Send, call: Call, pause: Callable[[float], object]) -> Answered:
    wait, waited = FIRST_PAUSE_SECONDS, 0.0
    while True:
        try:
            vectors = send(call)
            break
        except Refused as error:
            return Answered(None, str(error))
        except Transient as error:
            seconds = error.retry_after_seconds or wait
            waited += seconds
            if waited > LONGEST_WAIT_SECONDS:
                raise
            log.info("%s; asked again in %g seconds", error, seconds)
        pause(seconds)
        wait = min(2 * wait, LONGEST_PAUSE_SECONDS)
    if len(vectors) != 1:
        lacks = "the connector's predict action needs a post_process_function"
        return Answered(None, f"{len(vectors)} vectors in the answer to one text: {lacks}")
    return Answered(vectors[0])
