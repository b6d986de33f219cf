"""The one check of every vector, of all vendors and in all forms: finite numbers, at least one."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterator
from itertools import islice

import orjson

from opensearch_batch.flow.answers import Answer

BAD_VECTOR = "bad_vector"
"""Code of a row whose vector has no numbers, or has something else among the numbers: for good."""

ZERO_VECTORS = "zero_vectors"
"""Name of the rows whose vectors are all zeros: they land, and an index of the cosine kind refuses them."""

FIRST = 64
"""So many first answers of a job decide by majority what its rows are, where the shard does not say."""

SHOWN = 100


def why_bad(answer: Answer) -> str:
    """Empty for a good vector, and for a text."""
    if answer.vector is None or answer.numbers is not None:  # these were made as doubles when the line was read
        return "" if answer.numbers is None or memoryview(answer.numbers).nbytes else "the vector is empty"
    numbers = numbers_of(answer)
    if numbers is None:
        return f"what came as a vector is none: {bytes(answer.vector)[:SHOWN].decode(errors='replace')}"
    if not numbers:
        return "the vector is empty"
    return "" if math.isfinite(sum(numbers)) else "the vector has NaN or infinity among its numbers"


def is_zero(answer: Answer) -> bool:
    if answer.vector is None:
        return False
    found = memoryview(answer.numbers).cast("B").cast("d") if answer.numbers is not None else numbers_of(answer)
    return found is not None and not any(found)


def numbers_of(answer: Answer) -> list[float] | array[float] | None:
    """None for what is no list of numbers."""
    if isinstance(answer.vector, array):
        return answer.vector
    try:
        found = orjson.loads(answer.vector or b"null")
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, list) and set(map(type, found)) <= {int, float} else None


def usual_length(answers: Iterator[Answer]) -> tuple[int | None, list[Answer]]:
    """The commonest length among the first answers (0: texts; of equals the first), and these answers again. None where
    none is good.
    """
    first = list(islice(answers, FIRST))
    lengths = Counter(each.dimensions for each in first if each.answered and not why_bad(each))
    return (lengths.most_common(1)[0][0] if lengths else None), first
