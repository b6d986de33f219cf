"""Ids in a spec's checkpoint: documents that a later run would ask for by id."""

from __future__ import annotations

from collections.abc import Collection

import msgspec
import orjson
from msgspec.structs import replace

from opensearch_batch.erase.proof import Place
from opensearch_batch.errors import InputError
from opensearch_batch.sources.checkpoint import Checkpoint
from opensearch_batch.storage import open_binary, size_of, write_object


def _read(uri: str) -> Checkpoint | None:
    if size_of(uri) is None:
        return None
    with open_binary(uri) as source:
        try:
            return msgspec.json.decode(source.read(), type=Checkpoint)
        except msgspec.DecodeError as error:
            raise InputError(
                f"{uri}: not a checkpoint of this version: {error}. Remove it: all is read then"
            ) from error


def look_at_checkpoint(uri: str, ids: Collection[str]) -> Place | None:
    """None without a checkpoint."""
    checkpoint = _read(uri)
    if checkpoint is None:
        return None
    names = [_is_wanted(index, each, ids) for index, left in checkpoint.left.items() for each in left]
    return Place("checkpoint", uri, len(names), sum(names))


def forget_left(uri: str, ids: Collection[str]) -> None:
    checkpoint = _read(uri)
    if checkpoint is None:
        return
    left = {
        index: [each for each in names if not _is_wanted(index, each, ids)] for index, names in checkpoint.left.items()
    }
    if left != checkpoint.left:
        write_object(uri, orjson.dumps(replace(checkpoint, left=left).to_dict(), option=orjson.OPT_INDENT_2))


def _is_wanted(index: str, document_id: str, ids: Collection[str]) -> bool:
    return document_id in ids or f"{index}/{document_id}" in ids
