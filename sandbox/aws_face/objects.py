"""Buckets and objects for the services of the face, called directly, without HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Objects(Protocol):
    """May be called from any thread."""

    def has_bucket(self, bucket: str) -> bool: ...

    def keys(self, bucket: str, prefix: str) -> list[str]:
        """Sorted; none for a bucket that is not there."""

    def size(self, bucket: str, key: str) -> int | None:
        """Bytes, None if there is no such object."""

    def read(self, bucket: str, key: str) -> Iterator[bytes]:
        """In pieces; raises KeyError at the call if there is no such object."""

    def write(self, bucket: str, key: str, content: Path) -> None:
        """From a file of the sandbox, which stays; replaces. Raises KeyError if there is no such bucket."""
