"""Grouping: many texts in one request, and the request's answer as one answer a row again.

A request of many rows is named by a hash of the rows' ids. So an answer about other rows is foreign, as for a request
of a single row, named by the row's id. A vendor's name for a request is too short for the ids: the ids lie beside the
shard, one line a request, in the shard's order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

import orjson
from msgspec.structs import replace

from opensearch_batch.flow.answers import Answer
from opensearch_batch.sources.records import Record

Groups = Mapping[str, Sequence[str]]
"""Row ids in the order of the request's texts, by the request's name."""


def in_groups(records: Iterable[Record], most: int, most_bytes: int) -> Iterator[list[Record]]:
    """Yield groups of up to `most` rows whose texts have `most_bytes` together; a longer text is a group of its own."""
    group: list[Record] = []
    size = 0
    for record in records:
        text_bytes = len(record.text.encode())
        if group and (len(group) == most or size + text_bytes > most_bytes):
            yield group
            group, size = [], 0
        group.append(record)
        size += text_bytes
    if group:
        yield group


def group_name(ids: Sequence[str]) -> str:
    """37 characters, whatever the ids are: how long a custom_id may be is not published."""
    return "rows-" + hashlib.sha256(orjson.dumps(list(ids))).hexdigest()[:32]


def ids_line(ids: Sequence[str]) -> bytes:
    return orjson.dumps(list(ids), option=orjson.OPT_APPEND_NEWLINE)


def read_groups(lines: Iterable[bytes]) -> dict[str, tuple[str, ...]]:
    """Return row ids by request, from the lines of an ids file; memory holds all ids of the shard."""
    return {group_name(ids): tuple(ids) for ids in map(orjson.loads, lines)}


def by_row(answers: Iterable[Answer | None], groups: Groups) -> Iterator[Answer | None]:
    """Yield the answers of one line, a row at a time; None for an unreadable answer, or for a position without a text.

    A reason without a position holds for every row. A final reason may be the fault of a single row: the rows may be
    answered when sent alone. A line about another request comes once, under the other request's name.
    """
    for answer in answers:
        if answer is None:
            yield None
        elif (ids := groups.get(answer.id)) is None:
            yield answer
            return
        elif answer.position is None:
            alone = len(ids) > 1 and not answer.passing
            yield from (replace(answer, id=row_id, passing=alone or answer.passing, alone=alone) for row_id in ids)
        else:
            yield replace(answer, id=ids[answer.position]) if 0 <= answer.position < len(ids) else None
