"""Checkpoint: how far a spec has read its index, shard by shard. The next run reads only documents written since.

A checkpoint counts for the same question to the same index only: another query, model, text or bound, or an index that
was made again or restored, is read whole. It is an object below work_uri; where it is removed, the next run reads
everything, and still sends only what has changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import orjson

from opensearch_batch.flow.documents import IndexState
from opensearch_batch.flow.values import Value
from opensearch_batch.sources.steady_queries import is_steady
from opensearch_batch.sources.templates import Template, wording_of
from opensearch_batch.spec import BatchSpec
from opensearch_batch.storage import open_binary, size_of, write_object

MOST_LEFT = 1000
"""Documents that are asked for by id, because they failed. With more the checkpoint stays."""


class Checkpoint(Value, frozen=True):
    """`question` stands for what was asked. `left` are the documents up to `indices` that have no vector yet, by index:
    the provider failed them, or the index refused the vector.
    """

    version: int
    question: str
    indices: tuple[IndexState, ...]
    left: dict[str, list[str]]

    def state_of(self, state: IndexState) -> IndexState | None:
        """Return how far the same index was read; None for another index."""
        return next((each for each in self.indices if each.is_same_index(state)), None)


VERSION = 1


def question_of(
    spec: BatchSpec,
    queries: Sequence[Mapping[str, Any]],
    sidecar: str | None = None,
    nested_objects: Sequence[int | None] = (),
) -> str | None:
    """Name what a spec asks of its index, and of which model. `queries` are the spec's and those of an alias; `sidecar`
    is the UUID of the index with the provenance; `nested_objects` are the limits that the indices' settings state, None
    where they state none. None for a query that is not steady: documents come into it that nobody has written.
    """
    if not all(is_steady(query) for query in queries):
        return None
    read, model, back = spec.input, spec.model, spec.write_back
    asked: list[Any] = [read.uri, [*queries], read.text_field, read.prompt, model.provider, model.name, model.endpoint]
    asked += [read.too_long, read.max_text_tokens]
    asked += [wording.source] if isinstance(wording := wording_of(read), Template) else []
    asked += [read.chunks.model_dump()] if read.chunks else []
    asked += _bounds(spec, nested_objects)
    target = [back.vector_field, back.provenance] if back else None
    if target and back and back.provenance_index:  # what was not looked for is not known to be absent
        target = [back.vector_field, back.provenance_index, sidecar or "", back.on_model_change]
    whole = orjson.dumps([asked, model.parameters, target], option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(whole, digest_size=16).hexdigest()


def _bounds(spec: BatchSpec, nested_objects: Sequence[int | None]) -> list[Any]:
    """A document that was too large in one run may fit under the bounds of the next. Where there are none but the
    vendor's and the server's, the question is that of earlier versions. A limit of several indices stands there once:
    one more index with the same limit has none of the others read again.
    """
    shard = [spec.limits.max_bytes, spec.limits.max_tokens, spec.limits.max_enqueued_tokens]
    chunks = sorted({limit or 0 for limit in nested_objects}) if spec.input.chunks else []
    return [{"shard": shard, "chunks": chunks}] if any(shard) or any(chunks) else []


def checkpoint_uri(spec: BatchSpec) -> str:
    return f"{spec.work_uri.rstrip('/')}/checkpoints/{spec.name}.json"


def read_checkpoint(spec: BatchSpec, question: str | None) -> Checkpoint | None:
    """Return the checkpoint that counts for a question; None where everything is to be read."""
    if spec.write_back is None or spec.write_back.read == "all" or question is None:
        return None
    return _stored(spec, question)


def move_checkpoint(spec: BatchSpec, question: str, states: tuple[IndexState, ...], left: dict[str, list[str]]) -> bool:
    """Move the checkpoint to what a complete run has read; return False where too many documents are left.

    A run that began earlier and ends later moves no shard back, and takes no document from those that are left.
    """
    before = _stored(spec, question)
    later = tuple(_later(state, before.state_of(state)) for state in states) if before else states
    if before and later != states:
        left = {index: sorted({*left.get(index, []), *before.left.get(index, [])}) for index in {*left, *before.left}}
    if sum(len(ids) for ids in left.values()) > MOST_LEFT:
        return False
    moved = Checkpoint(VERSION, question, later, left)
    write_object(checkpoint_uri(spec), orjson.dumps(moved.to_dict(), option=orjson.OPT_INDENT_2))
    return True


def _stored(spec: BatchSpec, question: str) -> Checkpoint | None:
    """An object of another version, or of another question, is none."""
    uri = checkpoint_uri(spec)
    if size_of(uri) is None:
        return None
    with open_binary(uri) as source:
        try:
            found = msgspec.json.decode(source.read(), type=Checkpoint)
        except msgspec.DecodeError:
            return None
    return found if (found.version, found.question) == (VERSION, question) else None


def _later(state: IndexState, before: IndexState | None) -> IndexState:
    if before is None:
        return state
    checkpoints = {shard: max(at, before.checkpoints.get(shard, -1)) for shard, at in state.checkpoints.items()}
    return IndexState(state.index, state.uuid, state.histories, checkpoints)
