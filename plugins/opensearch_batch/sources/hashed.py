"""Rows with the hash of their text, which their results have too: by it a later run finds their vector again."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import suppress
from typing import Any

from opensearch_batch.flow.text_hash import model_hash, text_hash
from opensearch_batch.sources.records import WrongRow, text_of
from opensearch_batch.sources.rows import BadRow, Row
from opensearch_batch.sources.templates import wording_of
from opensearch_batch.spec import BatchSpec

TEXT_HASH = "_text_hash"
"""Field of a row and of its result."""


def hash_of_model(spec: BatchSpec) -> bytes:
    """Return the model_hash of a spec: of the model, its parameters, and of how long texts are cut."""
    return _hash_of_model(spec, _cut(spec))


def hash_of_documents(spec: BatchSpec) -> bytes:
    """As hash_of_model; also of how texts are cut into chunks, so that other chunks are another text."""
    if spec.input.chunks is None:
        return hash_of_model(spec)
    return _hash_of_model(spec, [_cut(spec), spec.input.chunks.model_dump()])


def _cut(spec: BatchSpec) -> Any:
    return [spec.input.max_text_tokens] if spec.input.too_long == "truncate" else None


def _hash_of_model(spec: BatchSpec, cut: Any) -> bytes:
    model = spec.model
    return model_hash(model.provider, model.name, model.endpoint, model.parameters, cut)


def hashed(rows: Iterable[Row | BadRow], spec: BatchSpec) -> Generator[Row | BadRow, None, None]:
    """A row that cannot be sent stays without: the records name it. Documents of an index come with theirs."""
    model, read = hash_of_model(spec), spec.input
    wording = wording_of(read)
    for row in rows:
        if isinstance(row, Row):
            with suppress(WrongRow):
                row.fields[TEXT_HASH] = text_hash(model, text_of(row.fields, read.text_field, wording))
        yield row
