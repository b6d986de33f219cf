"""Online answers to a sample of texts, a few at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from opensearch_batch.cluster.ml_commons import predict
from opensearch_batch.cluster.online import FIRST, Answered, Send, ask

AT_ONCE = 4


def embed(
    send: Send,
    model_id: str,
    asked: Sequence[dict[str, Any]],
    pause: Callable[[float], object] = time.sleep,
) -> list[Answered]:
    """Return the answers in the order of `asked`, the `parameters` of a _predict each; fewer where the first ones were
    all refused. Raise Transient for a model that does not take a text for ten minutes.
    """

    def answer_to(parameters: dict[str, Any]) -> Answered:
        return ask(send, predict(model_id, parameters), pause)

    first = [answer_to(parameters) for parameters in asked[:FIRST]]
    if all(answer.vector is None for answer in first):
        return first
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="predict") as pool:
        try:
            rest = list(pool.map(answer_to, asked[FIRST:]))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [*first, *rest]
