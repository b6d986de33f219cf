"""The errors of storages, as ours."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from opensearch_batch.errors import BatchError, Refused, SpecError, Unavailable

Errors = tuple[type[Exception], ...]


@contextmanager
def told(what: str, *, left: Errors = (BatchError, FileNotFoundError, IsADirectoryError)) -> Iterator[None]:
    """Raise a storage's errors as ours; an absent object and a folder are left to the caller."""
    try:
        yield
    except left:
        raise
    except (ValueError, ImportError) as error:  # Airflow's, of a kind of address that it has no library for
        raise SpecError(
            f"{what}: {error}. Is Airflow's provider for it installed on this machine (for s3://: "
            "pip install 'opensearch-batch[amazon]')?"
        ) from error
    except Exception as error:  # every storage's library has errors of its own
        raise as_ours(what, error) from None


def as_ours(what: str, error: Exception) -> BatchError:
    if isinstance(error, PermissionError) or getattr(error, "errno", None) == errno.EROFS:
        return Refused(f"{what}: {error}. May the connection's key, or this user, do that?")
    if isinstance(error, FileNotFoundError | IsADirectoryError | FileExistsError | NotADirectoryError):
        return Refused(f"{what}: {error}. Is the name right?")
    return Unavailable(f"{what}: {type(error).__name__}: {error}")
