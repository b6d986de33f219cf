"""Whose an entry of the record is, by its results file: paid for by the run, or copied from an earlier run's."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from opensearch_batch.errors import Terminal
from opensearch_batch.reuse.entries import arrow
from opensearch_batch.storage import exists

if TYPE_CHECKING:
    import pyarrow

IsThere = Callable[[str], bool]
"""Whether a results file may be read."""

COPIED = "reused"
"""In the name of a results file whose vectors are copies: results-<run key>-reused-<hash>.jsonl."""


def copied_name(run_key: str, sha256: str) -> str:
    return f"results-{run_key}-{COPIED}-{sha256[:8]}.jsonl"


def is_copied(uri: str) -> bool:
    return f"-{COPIED}-" in uri.rpartition("/")[2]


def is_paid_by(run_key: str) -> Callable[[str], bool]:
    """Return what tells whether the run has paid for the vectors in a file."""
    begin = f"results-{run_key}-"
    return lambda uri: uri.rpartition("/")[2].startswith(begin) and not is_copied(uri)


def looking_once() -> IsThere:
    """Return what looks for each file once. A file of others, which may not be looked at, counts as there."""
    return cache(_is_there)


def _is_there(uri: str) -> bool:
    try:
        return exists(uri)
    except Terminal:
        return True


def in_files(table: pyarrow.Table, chosen: Callable[[str], bool]) -> pyarrow.Array:
    """Return of each entry whether its file is chosen; each file is asked about once."""
    pa = arrow()
    uris = table["uri"].combine_chunks()
    known, used = uris.dictionary.to_pylist(), set(uris.indices.unique().to_pylist())
    answers = [at in used and chosen(uri) for at, uri in enumerate(known)]
    return pa.array(answers, pa.bool_()).take(uris.indices)
