"""The check of each answer against the output schema of its shard; what does not fit is a reason with its raw text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import orjson
from pydantic import BaseModel, ValidationError

from opensearch_batch.errors import SpecError
from opensearch_batch.flow.answers import Answer
from opensearch_batch.flow.output_schema import OutputSchema
from opensearch_batch.flow.shards import Shard
from opensearch_batch.land.quick_check import quick_check
from opensearch_batch.land.reconcile import INVALID_OUTPUT
from opensearch_batch.land.vectors import WITHIN
from opensearch_batch.prepare.json_schema import validator_of
from opensearch_batch.prepare.output_schema import model_at
from opensearch_batch.scrubbing import scrubbed
from opensearch_batch.storage import open_binary

REASON_CHARACTERS = 300
"""Of the reason, which may quote the whole answer; the failures file has the raw answer beside it."""
PATH_CHARACTERS = SHOWN = 100

FENCE = "```"
WHOLE = range(-(1 << 63), 1 << 63)
"""Numbers that a column of whole numbers holds."""

Fits = Callable[[str], dict[str, Any]]


class Misfit(Exception):
    """Why a text does not fit: the path in the answer, and the words."""

    def __init__(self, path: str, words: str) -> None:
        told = scrubbed(words[: REASON_CHARACTERS + WITHIN])  # whole keys are known, begun ones are not
        super().__init__(f"at {path[:PATH_CHARACTERS]}: {told}"[:REASON_CHARACTERS])


def schema_of(shard: Shard | None) -> OutputSchema | None:
    """Return what the shard's answers must fit; None for a shard without a schema."""
    if shard is None or not shard.schema_uri:
        return None
    with open_binary(shard.schema_uri) as source:
        return OutputSchema.from_dict(orjson.loads(source.read()))


def checking(schema: OutputSchema) -> Callable[[Answer], Answer]:
    """Return a function that gives an answer its `value`, or makes of it a reason, with the raw text as `value`.

    A text that a limit of tokens cut does not go to a repair round: it would be cut again.
    """
    fits = _by_model(model_at(schema.model), schema.model) if schema.model else _by_schema(schema.schema)
    wholes = [name for name, kind in schema.columns.items() if kind == "integer"]

    def checked(answer: Answer) -> Answer:
        if not answer.answered:
            return answer
        try:
            if answer.output is None:
                raise Misfit("$", "a vector came instead of a text")
            value = fits(answer.output)
            if wholes:
                _refuse_great(value, wholes)
        except Misfit as why:
            cut = "; a limit of tokens ended the text: raise it" if answer.truncated else ""
            return Answer(
                answer.id,
                code=INVALID_OUTPUT,
                message=f"{why}{cut}",
                usage=answer.usage,
                passing=not answer.truncated,
                value=answer.output,
            )
        return msgspec.structs.replace(answer, value=value)

    return checked


def json_in(text: str) -> Any:
    """Return the JSON of a text; a code fence around the whole text is taken off, and nothing else is."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        bare = _unfenced(text)
        if bare is None:
            raise Misfit("$", f"the answer is no JSON: {error}") from None
    try:
        return orjson.loads(bare)
    except orjson.JSONDecodeError as error:
        raise Misfit("$", f"the code fence holds no JSON: {error}") from None


def _unfenced(text: str) -> str | None:
    bare = text.strip()
    first, newline, rest = bare.partition("\n")
    if not newline or not first.startswith(FENCE) or not rest.endswith(FENCE):
        return None
    return rest[: -len(FENCE)]


def _by_schema(schema: dict[str, Any]) -> Fits:
    """jsonschema judges; what the quick check is sure of jsonschema does not see."""
    validator, is_sure = validator_of(schema), quick_check(schema)

    def fits(text: str) -> dict[str, Any]:
        value = json_in(text)
        if is_sure(value):
            return value  # type: ignore[no-any-return]
        try:
            error = next(validator.iter_errors(value), None)
        except RecursionError:
            raise Misfit("$", "the answer is nested too deeply to be checked") from None
        if error is not None:
            raise Misfit(error.json_path, error.message)
        return value  # type: ignore[no-any-return]

    return fits


def _by_model(model: type[BaseModel], path: str) -> Fits:
    """The value is what the model makes of the answer: defaults filled in, its own validators run."""

    def fits(text: str) -> dict[str, Any]:
        given = json_in(text)
        try:
            value = model.model_validate(given).model_dump(mode="json", by_alias=True)
            orjson.dumps(value)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            raise Misfit("$" + "".join(f".{part}" for part in first["loc"]), first["msg"]) from None
        except orjson.JSONEncodeError as error:
            raise Misfit("$", f"no result can hold the answer: {error}") from None
        except RecursionError:
            raise Misfit("$", "the answer is nested too deeply to be checked") from None
        except Exception as error:  # whatever it is, a validator of the user's is at fault, and no row
            raise SpecError(
                f"model.output_schema {path} failed at an answer that begins {scrubbed(text)[:SHOWN]!r}: "
                f"{type(error).__name__}: {error}. Correct the model, and clear this task: nothing is sent again"
            ) from error
        return value

    return fits


def _refuse_great(value: dict[str, Any], wholes: list[str]) -> None:
    for name in wholes:
        found = value.get(name)
        if isinstance(found, int | float) and not WHOLE.start <= found < WHOLE.stop:
            raise Misfit(f"$.{name}", f"{found} is beyond the whole numbers of 64 bits")
