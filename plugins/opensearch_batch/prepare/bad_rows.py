"""Bad rows: the rows of the input that cannot be sent are counted, named, and kept for the failures where the spec
skips them.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager

from opensearch_batch.errors import InputError
from opensearch_batch.input_section import InputSection
from opensearch_batch.prepare.plan import counted
from opensearch_batch.sinks.jsonl import JsonLines
from opensearch_batch.sources.records import Record
from opensearch_batch.sources.rows import BadRow

BAD_ROW = "bad_row"
"""Code of a bad row in the failures."""

NAMED = 20
"""So many bad rows are named in the error and in the log; all are counted."""


class BadRows:
    """The bad rows seen so far: the first NAMED in memory, all of them in `out`, where they are kept."""

    def __init__(self, out: JsonLines | None) -> None:
        self._out = out
        self.count = 0
        self.first: list[BadRow] = []
        self.uri: str | None = None

    def without(self, rows: Iterable[Record | BadRow]) -> Iterator[Record]:
        for row in rows:
            if isinstance(row, BadRow):
                self.add(row)
            else:
                yield row

    def add(self, row: BadRow) -> None:
        self.count += 1
        if len(self.first) < NAMED:
            self.first.append(row)
        if self._out:
            self._out.add_line({"id": row.id, "code": BAD_ROW, "message": row.reason, "source": str(row.place)})

    def keep(self) -> None:
        """Complete the file."""
        entry = self._out.commit() if self._out else None
        self.uri = entry.uri if entry else None

    @property
    def words(self) -> str:
        """The first rows, a line each."""
        return "\n".join(map(str, self.first))


@contextmanager
def collected(uri: str, kept: bool) -> Generator[BadRows, None, None]:
    """`kept`: the bad rows are written to `uri`, which exists after `keep` where there are any."""
    if not kept:
        yield BadRows(None)
        return
    with JsonLines(uri) as out:
        yield BadRows(out)


def refuse_bad_rows(bad: BadRows, good: int, section: InputSection) -> None:
    """Raise InputError where the spec skips no bad rows, or fewer, or where no row is good."""
    if not bad.count:
        return
    total = good + bad.count
    what = f"{counted(bad.count, 'bad row')} of {total} read in {section.uri}"
    if section.bad_rows == "fail":
        raise InputError(
            f"{what}{_first(bad)}\nNothing was sent. Correct them; or say input.bad_rows: skip, then the other rows "
            "are sent, and the failures name these."
        )
    if not good or bad.count > section.max_bad_fraction * total:
        raise InputError(
            f"{what}, input.max_bad_fraction is {section.max_bad_fraction:g}{_first(bad)}\nNothing was sent. Correct "
            f"them{'' if not good else ', or raise input.max_bad_fraction'}."
        )


def _first(bad: BadRows) -> str:
    return f"{'; the first ' + str(NAMED) if bad.count > NAMED else ''}:\n{bad.words}"
