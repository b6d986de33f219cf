"""Online answers: the vector of a text by the cluster's `_predict`, waiting where it is throttled."""

from __future__ import annotations

import logging
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

Send = Callable[[Call], Any]


@dataclass(frozen=True)
class Answered:
    """A vector, or why there is none."""

    vector: Sequence[float] | None
    refusal: str = ""


def ask(send: Send, call: Call, pause: Callable[[float], object] = time.sleep) -> Answered:
    """Return the answer to a `_predict` of one text. Raise Transient for a model that does not take it for ten minutes.

    After a lost answer the text is asked again, and may be paid for twice.
    """
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
