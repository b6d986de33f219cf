"""What only some installations have: an import that fails for want of it names the wheel's extra that brings it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opensearch_batch.errors import SpecError


@contextmanager
def imported_from(extra: str, purpose: str) -> Iterator[None]:
    """Around imports; `purpose` is what needs them. Raise SpecError for a module that is not there."""
    try:
        yield
    except ModuleNotFoundError as error:
        module = (error.name or str(error)).partition(".")[0]
        raise SpecError(
            f"{purpose} needs {module} where tasks run: pip install 'opensearch-batch[{extra}]', or with a copied "
            f"plugins folder: pip install {module}"
        ) from None
