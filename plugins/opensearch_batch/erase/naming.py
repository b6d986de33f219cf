"""Row ids of documents: a document's own id where a run has read one index, index/id where it has read several."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Naming:
    """How rows are named. `sets` are the indices that a run has read at once, or would read now; `is_told`: of every
    earlier run it is known which.
    """

    sets: Sequence[frozenset[str]]
    is_told: bool

    def ids_in(self, index: str, ids: Collection[str]) -> set[str]:
        """Return the documents of an index that row ids name."""
        alone, beside = self._read(index)
        return {*(ids if alone else ()), *(_parted(index, ids).values() if beside else ())}

    def may_be_in(self, index: str, ids: Collection[str]) -> set[str]:
        """Return also those that row ids name if a run, of which nobody knows, has read the index in the other way."""
        return self.ids_in(index, ids) if self.is_told else {*ids, *_parted(index, ids).values()}

    def doubtful(self, index: str, ids: Collection[str], there: Collection[str]) -> set[str]:
        """Of the documents that are `there`, return those of which a row id may be the name, and may be another's. What
        index/id has named stays in doubt also where the other document is gone meanwhile.
        """
        alone, beside = self._read(index)
        parted = _parted(index, ids)
        found: set[str] = set()
        for row_id, document_id in parted.items():
            is_whole = row_id in there and (alone or not self.is_told)
            is_parted = document_id in there and (beside or not self.is_told)
            if is_whole and (beside or not self.is_told):
                found.add(row_id)
            if is_parted and (is_whole or not beside):
                found.add(document_id)
        return found - {each for each in ids if alone and each not in parted}

    def _read(self, index: str) -> tuple[bool, bool]:
        """Whether an index was read alone, and whether with others. One that no run has read is a copy of some that
        were.
        """
        own = [each for each in self.sets if index in each]
        return not own or any(len(each) == 1 for each in own), any(len(each) > 1 for each in own or self.sets)


def _parted(index: str, ids: Iterable[str]) -> dict[str, str]:
    """Row ids that begin with an index's name, and the document's id of each."""
    return {each: each.removeprefix(f"{index}/") for each in ids if each.startswith(f"{index}/")}
