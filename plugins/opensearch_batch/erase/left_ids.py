"""Ids in a spec's checkpoint: documents that a later run would ask for by id."""

from __future__ import annotations

from collections.abc import Collection

import msgspec
import orjson
from msgspec.structs import replace

from opensearch_batch.erase.naming import Naming
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


def look_at_checkpoint(uri: str, naming: Naming, ids: Collection[str]) -> Place | None:
    """None without a checkpoint."""
    checkpoint = _read(uri)
    if checkpoint is None:
        return None
    rows = sum(len(left) for left in checkpoint.left.values())
    return Place("checkpoint", uri, rows, rows - sum(len(left) for left in _others(checkpoint, naming, ids).values()))


def forget_left(uri: str, naming: Naming, ids: Collection[str]) -> None:
    checkpoint = _read(uri)
    if checkpoint is None:
        return
    left = _others(checkpoint, naming, ids)
    if left != checkpoint.left:
        write_object(uri, orjson.dumps(replace(checkpoint, left=left).to_dict(), option=orjson.OPT_INDENT_2))


def _others(checkpoint: Checkpoint, naming: Naming, ids: Collection[str]) -> dict[str, list[str]]:
    wanted = {index: naming.ids_in(index, ids) for index in checkpoint.left}
    return {index: [each for each in left if each not in wanted[index]] for index, left in checkpoint.left.items()}
