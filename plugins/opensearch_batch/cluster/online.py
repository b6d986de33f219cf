"""Online answers: what the model says to a text by the cluster's `_predict`, waiting where it is throttled."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from opensearch_batch.cluster.ml_commons import Call
from opensearch_batch.errors import Refused, Transient

log = logging.getLogger(__name__)

PLACEHOLDER = "${"
"""The cluster fills `${parameters.x}` in a text that is asked online too, so such a text cannot be."""

FIRST = 3
"""Where so many texts are refused and none is answered, no further text is asked for."""
LONGEST_WAIT_SECONDS = 600.0
"""For one text."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 60.0

TOO_SLOW = 2
"""Where so many answers to a row of text were not there in time, the row counts as refused."""
NOT_IN_TIME = re.compile(r"Read timed out|ReadTimeout")
"""The cluster's words where the connector's read_timeout is over, and those of our client for its own."""
GATEWAY_TIMEOUT = 504
"""The status of a proxy in front of the cluster whose own time is over; the model goes on all the same."""

Send = Callable[[Call], Any]


@dataclass(frozen=True)
class Answered:
    """A vector, or why there is none."""

    vector: Sequence[float] | None
    refusal: str = ""


@dataclass(frozen=True)
class Said:
    """What the provider said, as JSON values, or why it said nothing."""

    value: Any
    refusal: str = ""


def ask(send: Send, call: Call, pause: Callable[[float], object] = time.sleep) -> Answered:
    """Return the answer to a `predict` of one text. Raise Transient for a model that does not take it for ten minutes.

    After a lost answer the text is asked again, and may be paid for twice.
    """
    try:
        vectors = _taken(send, call, pause)
    except Refused as error:
        return Answered(None, str(error))
    if len(vectors) != 1:
        lacks = "the connector's predict action needs a post_process_function"
        return Answered(None, f"{len(vectors)} vectors in the answer to one text: {lacks}")
    return Answered(vectors[0])


def ask_text(send: Send, call: Call, pause: Callable[[float], object] = time.sleep) -> Said:
    """Return what the provider said to a `predict_text` of one row; repeats and raises as `ask` does, but asks no model
    that has been TOO_SLOW: each of its answers is paid for, and none arrives.
    """
    try:
        told = _taken(send, call, pause, too_slow=TOO_SLOW)
    except Refused as error:
        return Said(None, str(error))
    if len(told) != 1:
        has = "the connector's predict action may have no post_process_function"
        return Said(None, f"{len(told)} answers of the provider to one row: {has}")
    return Said(told[0])


def _taken(send: Send, call: Call, pause: Callable[[float], object], too_slow: int | None = None) -> Any:
    """Raise Refused, also where so many answers have come `too_slow`."""
    wait, waited, slow = FIRST_PAUSE_SECONDS, 0.0, 0
    while True:
        try:
            return send(call)
        except Transient as error:
            slow += _is_slow(error)
            if slow == too_slow:
                raise Refused(f"{error}: {slow} times, and each answer may be billed; it is not asked again") from error
            seconds = error.retry_after_seconds or wait
            waited += seconds
            if waited > LONGEST_WAIT_SECONDS:
                raise
            log.info("%s; asked again in %g seconds", error, seconds)
        pause(seconds)
        wait = min(2 * wait, LONGEST_PAUSE_SECONDS)


def _is_slow(error: Transient) -> bool:
    return error.status == GATEWAY_TIMEOUT or bool(NOT_IN_TIME.search(str(error)))
