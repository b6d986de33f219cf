"""What a vendor says, in the shape expected of the vendor: every answer passes here, in a store and in `read_job`.

What a decision hangs on is there, or the answer is Unavailable: a later answer may differ, and none counts as "no".
What only informs (times, counts, words, tokens) is read as far as possible and never raises.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from opensearch_batch.errors import BatchError, Unavailable
from opensearch_batch.scrubbing import scrubbed
from opensearch_batch.unsigned import unsigned

T = TypeVar("T")

SHOWN = 200
"""Characters of an answer in an error."""

MOST = 2**63 - 1
"""Of a count: XComs hold no larger number."""


def from_sdk(ask: Callable[[], T], what: str, translated: Callable[[Exception], BatchError | None]) -> T:
    """Ask through a vendor's SDK; `what` names the question, `translated` makes the SDK's own errors ours.

    Any other exception is an SDK that took apart, unseen, an answer of another shape (a login page, nothing, a list).
    """
    try:
        return ask()
    except BatchError:
        raise
    except Exception as error:
        raise (translated(error) or _odd(what, f"{type(error).__name__}: {error}")) from None


def an_object(answer: Any, what: str) -> dict[str, Any]:
    if not isinstance(answer, Mapping):
        raise _odd(what, repr(answer))
    return dict(answer)


def entries(answer: Any, name: str, what: str) -> list[dict[str, Any]]:
    """The objects in the list `name` of an answer; an answer without the list is no empty list."""
    found = an_object(answer, what).get(name)
    if not isinstance(found, list) or not all(isinstance(each, Mapping) for each in found):
        raise _odd(what, f"no list of objects as {name!r} in {answer!r}")
    return [dict(each) for each in found]


def needed(document: Mapping[str, Any], name: str, what: str) -> str:
    """A text that a decision hangs on."""
    if (found := text(document.get(name))) is None:
        raise _odd(what, f"no {name!r} in {dict(document)!r}")
    return found


def of_input(
    jobs: Iterable[dict[str, Any]], input_of: Callable[[dict[str, Any]], str | None], input_file_id: str, what: str
) -> list[dict[str, Any]]:
    """The jobs that read this input. Raise Unavailable where there is none, but one does not say what it reads."""
    found = [(input_of(job), job) for job in jobs]
    ours = [job for file_id, job in found if file_id == input_file_id]
    if not ours and (mute := next((job for file_id, job in found if file_id is None), None)):
        raise _odd(what, f"a job does not say which input it reads: {mute!r}")
    return ours


def inner(value: Any, *names: str) -> Any:
    """What lies below these names; None where anything on the way is no object."""
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def text(value: Any) -> str | None:
    """A text that is not empty."""
    return value if isinstance(value, str) and value else None


def words(value: Any) -> str | None:
    """What a vendor says to people: a text, or the text in whatever holds one, without our keys, and without what signs
    a URL.
    """
    if isinstance(value, Mapping):
        named = [name for name in ("message", "error", "detail", "data", "text", "reason") if name in value]
        found = [value[name] for name in named if value[name]]
        return words(found[0]) if found else (None if named or not value else str(dict(value)))
    if isinstance(value, list):
        return "; ".join(said for each in value if (said := words(each))) or None
    if value is None or isinstance(value, bool):
        return None
    return unsigned(scrubbed(str(value).strip())) or None


def reason(error: Any) -> tuple[str | None, str]:
    """Code and words of a vendor's error: a text, an object, or an object within another."""
    told = error
    while isinstance(told, Mapping) and isinstance(told.get("error"), Mapping | str) and not told.get("message"):
        told = told["error"]
    named = [value for name in ("code", "type") if (value := inner(told, name)) not in (None, "")]
    return (words(named[0]) if named else None), words(told) or ""


def number(value: Any) -> float | None:
    """A finite number; numbers may come as text. ML Commons 2.x stores every number as a float."""
    try:
        found = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else math.nan
    except (OverflowError, ValueError):
        return None
    return found if math.isfinite(found) else None


def count(value: Any) -> int:
    """0 where the vendor does not say."""
    found = number(value)
    return int(found) if found is not None and 0 <= found <= MOST else 0


def epoch_seconds(value: Any) -> float | None:
    """ISO 8601 as the cluster passes a time on, or epoch seconds as a store has it."""
    if isinstance(value, datetime):
        return value.timestamp()
    if (found := number(value)) is not None:
        return found or None
    try:
        return datetime.fromisoformat(value).timestamp() if isinstance(value, str) else None
    except (OverflowError, ValueError):
        return None


def _odd(what: str, answer: str) -> Unavailable:
    shown = " ".join(unsigned(scrubbed(answer)).split())[:SHOWN]
    return Unavailable(f"{what}: the answer has not the shape expected: {shown}")
