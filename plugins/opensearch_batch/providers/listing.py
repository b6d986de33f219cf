"""Lists of a vendor page by page, never without bound: servers were seen to give the same page for ever."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import TypeVar

from opensearch_batch.errors import UnknownAnswer

T = TypeVar("T")
C = TypeVar("C")

MOST_PAGES = 5000


def walked(
    page_at: Callable[[C | None], tuple[list[T], C | None]], id_of: Callable[[T], Hashable], what: str
) -> Iterator[T]:
    """Yield a list's entries, each page asked for when the page before it has been read.

    `page_at` takes the cursor of a page (None: of the first) and returns the entries with the cursor of the next page
    (None: there is none). Raise UnknownAnswer for a page without a new entry, and after MOST_PAGES. Entries may move
    from page to page while a list grows: an entry of the page before comes once.
    """
    cursor: C | None = None
    first: set[Hashable] = set()
    before: set[Hashable] = set()
    for _ in range(MOST_PAGES):
        found, cursor = page_at(cursor)
        ids = {id_of(each) for each in found}
        if found and (ids <= before or ids <= first):
            raise UnknownAnswer(
                f"{what}: the server gives the same page again, so its list cannot be read to the end. It has to "
                "page by the cursor it is given, and say where the list ends (docs/providers)"
            )
        yield from (each for each in found if id_of(each) not in before)
        first, before = first or ids, ids
        if cursor is None:
            return
    raise UnknownAnswer(f"{what}: the list does not end after {MOST_PAGES} pages")
