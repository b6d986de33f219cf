"""Grouping: many texts in one request, and the request's answer as one answer a row again.

Such a request is named by a hash of its rows' ids, so that what is about other rows is foreign here, as it is where
the request is named by its one row's id. The ids themselves, which a vendor's name for a request has no room for, lie
beside the shard: one line a request, in the shard's order.
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
    """Up to `most` rows whose texts have `most_bytes` together; a longer text is a group of its own."""
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
    """From the lines of an ids file; in memory they are as many as the shard's rows."""
    return {group_name(ids): tuple(ids) for ids in map(orjson.loads, lines)}


def by_row(answers: Iterable[Answer | None], groups: Groups) -> Iterator[Answer | None]:
    """What one line says, a row at a time; None is what cannot be read, or has a place that the request had no text
    for.

    A reason without a place is every row's. One for good may be the fault of a single row: the others, and who knows
    which they are, may be answered when they are sent alone. A line about another request comes once, under that one's
    name.
    """
    for answer in answers:
        if answer is None:
            yield None
        elif (ids := groups.get(answer.id)) is None:
            yield answer
            return
        elif answer.place is None:
            alone = len(ids) > 1 and not answer.answered and not answer.passing
            passing = alone or answer.passing
            yield from (replace(answer, id=row_id, passing=passing, alone=alone) for row_id in ids)
        else:
            yield replace(answer, id=ids[answer.place]) if 0 <= answer.place < len(ids) else None
