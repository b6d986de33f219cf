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
    """The bad rows seen so far: the first NAMED in memory, the skipped in `out`, where they are kept. `skip` holds for
    every row that says nothing else. With chunks `read` are all texts, and `whole` the bad ones among them, which make
    none.
    """

    def __init__(self, out: JsonLines | None, skip: bool) -> None:
        self._out, self._skip = out, skip
        self.count = self.refused = self.read = self.whole = 0
        self.first: list[BadRow] = []
        self.first_refused: list[BadRow] = []
        self.uri: str | None = None

    def counted(self, texts: Iterable[Record | BadRow]) -> Iterator[Record | BadRow]:
        """Count the texts that are about to be cut, bad ones among them."""
        for text in texts:
            self.read += 1
            yield text

    def without(self, rows: Iterable[Record | BadRow]) -> Iterator[Record]:
        for row in rows:
            if isinstance(row, BadRow):
                self.whole += 1
                self.add(row)
            else:
                yield row

    def add(self, row: BadRow, *, skip: bool | None = None) -> None:
        self.count += 1
        if len(self.first) < NAMED:
            self.first.append(row)
        if not (self._skip if skip is None else skip):
            self.refused += 1
            if len(self.first_refused) < NAMED:
                self.first_refused.append(row)
        elif self._out:
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
def collected(uri: str, kept: bool, skip: bool) -> Generator[BadRows, None, None]:
    """`kept`: the skipped rows are written to `uri`, which exists after `keep` where there are any. `skip` as in
    BadRows.
    """
    if not kept:
        yield BadRows(None, skip)
        return
    with JsonLines(uri) as out:
        yield BadRows(out, skip)


def refuse_bad_rows(bad: BadRows, good: int, section: InputSection) -> None:
    """Raise InputError where the spec skips not all bad rows, or fewer, or where no row is good. With chunks bad texts
    are a share of the texts, and chunks that are bad by themselves of the chunks.
    """
    kinds = [(bad.count, good)]
    if section.chunks:
        kinds = [(bad.whole, bad.read - bad.whole), (bad.count - bad.whole, good)]
    met = [(count, others) for count, others in kinds if count]
    if not met:
        return
    total = sum(map(sum, met))
    if bad.refused:
        raise InputError(
            f"{counted(bad.refused, 'bad row')} of {total} read in {section.uri}"
            f"{_first(bad.refused, bad.first_refused)}\nNothing was sent. Correct them; or say input.bad_rows: skip "
            "(of texts too long: input.too_long: skip or truncate), then the other rows are sent, and the failures "
            "name these."
        )
    if any(not others or count > section.max_bad_fraction * (count + others) for count, others in met):
        raise InputError(
            f"{counted(bad.count, 'bad row')} of {total} read in {section.uri}, input.max_bad_fraction is "
            f"{section.max_bad_fraction:g}{_first(bad.count, bad.first)}\nNothing was sent. Correct "
            f"them{', or raise input.max_bad_fraction' if all(others for _, others in met) else ''}."
        )


def _first(count: int, rows: Iterable[BadRow]) -> str:
    return f"{'; the first ' + str(NAMED) if count > NAMED else ''}:\n" + "\n".join(map(str, rows))
