"""The check of every vector: single-precision numbers, all finite, at least one; whatever the provider and the form."""

from __future__ import annotations

import re
import sys
from array import array
from typing import Any

from opensearch_batch.flow.answers import Answer
from opensearch_batch.providers.simd_json import Parser
from opensearch_batch.scrubbing import scrubbed

NOT_IN_NUMBERS = (b'"', b"n", b"t", b"f", b"{")
"""Bytes that begin all of JSON but numbers and lists: text, null, true, false, objects."""

GREAT_EXPONENT = re.compile(rb"e[^-]")

LAST = 1 if sys.byteorder == "little" else 0
SMALL_SINGLES = bytes(top for top in range(256) if top & 0x7F < 0x7F)
SMALL_DOUBLES = bytes(top for top in range(256) if top & 0x7F < 0x47)
"""First bytes (sign and begin of the exponent) of numbers that are finite in single precision, below 2**113 among
doubles. IEEE 754: https://doi.org/10.1109/IEEESTD.2019.8766229
"""

GREATEST = 3.4028235677973366e38
"""From here on a double rounds to infinity in single precision."""

WITHIN = 8192
"""Characters read beyond those shown, so that no key is cut before its end; a header, so a key, is no longer."""


_parser = Parser()


def is_vector(answer: Answer) -> bool:
    """Whether the answer's vector is a list of numbers, at least one, all finite in single precision.

    JSON text must be well-formed. Numbers are looked at as bytes, because a look at each costs more than reading the
    line.
    """
    if isinstance(answer.vector, array):
        return len(answer.vector) > 0 and _all_finite(answer.vector)
    if answer.vector is None:
        return False
    if answer.numbers is not None:
        return _are_in_range(answer.numbers)
    if not _is_list_of_numbers(answer.vector):
        return False
    return not _may_be_great(answer.vector) or _are_in_range(_parsed(answer.vector))


def is_zero(answer: Answer) -> bool:
    """Whether every number of a checked vector is 0. The first number that is not 0 ends the look."""
    if isinstance(answer.vector, array):
        return not any(answer.vector)
    if answer.numbers is not None:
        return not any(memoryview(answer.numbers).cast("d"))
    text = answer.vector or b""
    if float(text[1:].partition(b",")[0].rstrip(b"] \t\r\n")):
        return False
    return not any(memoryview(_parsed(text)).cast("d"))


def words_of(answer: Answer, most: int) -> str:
    """The begin of an answer as the provider gave the answer: `most` characters, without our keys."""
    if isinstance(answer.vector, array):
        return str(answer.vector[:most].tolist())[:most]
    if answer.vector is not None:
        return scrubbed(answer.vector[: 4 * most + WITHIN].decode(errors="replace"))[:most]
    return scrubbed((answer.output or "")[: most + WITHIN])[:most]


def _is_list_of_numbers(text: bytes) -> bool:
    """Of well-formed JSON; looks at no number."""
    return text.rfind(b"[") == 0 and not any(sign in text for sign in NOT_IN_NUMBERS)


def _may_be_great(text: bytes) -> bool:
    """Whether a number may be beyond single precision: by an exponent, or as digits only. No server is known to write
    such digits beside fractions.
    """
    return b"." not in text or b"E" in text or GREAT_EXPONENT.search(text) is not None


def _parsed(text: bytes) -> Any:
    """A buffer of doubles; empty where a number is beyond all doubles."""
    try:
        return _parser.parse(text).as_buffer(of_type="d")
    except ValueError:
        return b""
    except RuntimeError:  # a whole number of more than 64 bits
        return array("d", [float(number) for number in text.strip(b"[] \t\r\n").split(b",")]).tobytes()


def _are_in_range(doubles: Any) -> bool:
    """Whether there is a number, and every one is finite in single precision."""
    raw = memoryview(doubles).cast("B")
    if not raw.nbytes:
        return False
    tops = bytes(raw)[7 * LAST :: 8]
    return not tops.translate(None, SMALL_DOUBLES) or all(-GREATEST < each < GREATEST for each in raw.cast("d"))


def _all_finite(singles: array[float]) -> bool:
    tops = singles.tobytes()[3 * LAST :: 4]
    return not tops.translate(None, SMALL_SINGLES) or all(-GREATEST < each < GREATEST for each in singles)
