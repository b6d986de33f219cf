"""Questions: one open row put to the model, and what of the answer is kept."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from opensearch_batch.cluster.ml_commons import predict, predict_text
from opensearch_batch.cluster.online import Answered, Send, ask, ask_text
from opensearch_batch.flow.answers import Answer
from opensearch_batch.land.reconcile import NO_ANSWERS, Check
from opensearch_batch.land.vectors import is_vector
from opensearch_batch.providers.protocol import Provider, UnreadableLine
from opensearch_batch.stragglers.open_rows import OpenRow

Kind = Literal["vector", "line"]
"""Of what is kept: a vector, or a line of an output file as the vendor's batches write one."""


@dataclass(frozen=True)
class Found:
    """What came of a question. `kept` is JSON text, paid for and never asked for again; None for a refusal, which is
    asked for again. `why_not` is why no answer lands, of a refusal and of an answer that is none.
    """

    kind: Kind
    kept: bytes | None
    why_not: str = ""


Pause = Callable[[float], object]
Question = Callable[[OpenRow, Pause], Found]


def for_vectors(send: Send, model_id: str, dimensions: int | None) -> Question:
    """A vector of another length than `dimensions` counts as refused; None leaves the length to the model."""

    def question(row: OpenRow, pause: Pause) -> Found:
        answer = ask(send, predict(model_id, row.parameters), pause)
        if why_not := answer.refusal or _unfit(dimensions, answer):
            return Found("vector", None, why_not)
        return Found("vector", orjson.dumps(answer.vector))

    return question


def for_texts(send: Send, model_id: str, provider: Provider, check: Check | None) -> Question:
    """`check` is that of an output schema. What does not fit, and a refusal by the model itself, are paid for and kept:
    they land as in a batch.
    """

    def question(row: OpenRow, pause: Pause) -> Found:
        said = ask_text(send, predict_text(model_id, row.parameters), pause)
        if said.refusal:
            return Found("line", None, said.refusal)
        try:
            line = _line(provider, row, said.value)
            answer = provider.read_line(line)
        except UnreadableLine as error:
            return Found("line", None, f"the answer cannot be read: {error}")
        why_not = reason_of(answer, check)
        return Found("line", line if answer.answered or answer.code in NO_ANSWERS else None, why_not)

    return question


def _line(provider: Provider, row: OpenRow, value: Any) -> bytes:
    """Raise UnreadableLine for what the cluster's JSON can hold and a line cannot: half a surrogate pair, a number of
    more than 64 bits, lists within lists without end.
    """
    try:
        return provider.online_line(row.request, value)
    except orjson.JSONEncodeError as error:
        raise UnreadableLine(str(error)) from None


def reason_of(answer: Answer, check: Check | None) -> str:
    """Why an answer of text lands as a failure; empty where it lands as a result."""
    checked = check(answer) if check else answer
    return "" if checked.answered else f"{checked.code}: {checked.message}"


def _unfit(dimensions: int | None, answer: Answered) -> str:
    """Why a vector would not land: one that is kept is never asked for again."""
    vector = answer.vector or ()
    if not is_vector(Answer("", vector=array("f", vector))):
        return "the vector has a number that is not finite in single precision, or no number at all"
    if dimensions in (None, len(vector)):
        return ""
    why = f"the vector has {len(vector)} numbers, {dimensions} were asked for in batches"
    return f"{why}: the connector's predict action asks for another length"
