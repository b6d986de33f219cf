"""Objects written whole, or not at all."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from opensearch_batch.errors import BatchError, Unavailable
from opensearch_batch.scrubbing import scrubbed
from opensearch_batch.storage.address import LOCAL, path_of
from opensearch_batch.storage.errors import as_ours, told
from opensearch_batch.storage.objects import BLOCK_BYTES, PARTIAL, remove

log = logging.getLogger(__name__)

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class ObjectWriter:
    """Write an object as a context manager; readers see the object from `commit` on.

    A file is written beside the final name and renamed by `commit`; on object storage `commit` completes one upload.
    Without `commit` nothing is left behind, except by a killed process: a hidden file beside the final one, with `mark`
    in its name. `bytes` counts the bytes written, `lines` the calls of `write`; `sha256` is the bytes' hex digest.
    """

    def __init__(self, uri: str, mark: str = "") -> None:
        self.uri = uri
        self._mark = f".{mark}" if mark else ""
        self.bytes = self.lines = 0
        self._digest = hashlib.sha256()
        self._committed = False

    def __enter__(self) -> Self:
        with told(f"write {self.uri}", left=(BatchError,)):
            self._open()
        return self

    def _open(self) -> None:
        path = path_of(self.uri)
        self._is_file = path.protocol in LOCAL
        if self._is_file:
            self._final = Path(path.path)
            self._final.parent.mkdir(parents=True, exist_ok=True)
            self._partial = self._final.with_name(f".{self._final.name}{self._mark}.{os.getpid()}{PARTIAL}")
            self._out: Any = self._partial.open("wb", buffering=1 << 18)
        else:
            self._out = path.fs.open(path.path, "wb", block_size=BLOCK_BYTES, autocommit=False)

    def write(self, chunk: bytes) -> None:
        """Append a chunk, in practice a line with the line end."""
        try:
            self._out.write(chunk)
        except Exception as error:  # a context manager here would cost each row
            raise self._explained(error) from None
        self._digest.update(chunk)
        self.bytes += len(chunk)
        self.lines += 1

    def commit(self) -> None:
        """Complete the object under the final name, over an object of the same name."""
        try:
            self._complete()
        except Exception as error:
            raise self._explained(error) from None
        self._committed = True

    def _complete(self) -> None:
        if not self._is_file:
            self._out.close()
            self._out.commit()
            return
        self._out.flush()
        os.fsync(self._out.fileno())
        self._out.close()
        self._partial.replace(self._final)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._committed:
            return
        if self._is_file:
            self._partial.unlink(missing_ok=True)
            with suppress(OSError):  # the rest of a buffer for a file that is gone
                self._out.close()
        else:
            self._discard()

    def _discard(self) -> None:
        """Discard the upload; an upload that cannot be discarded was never completed, so readers see no part of it."""
        try:
            self._out.close()
            self._out.discard()
        except Exception as error:  # every storage's library has errors of its own
            log.warning("%s: what was begun could not be discarded: %s", self.uri, scrubbed(repr(error)))

    def _explained(self, error: Exception) -> Exception:
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            return Unavailable(
                f"{self.uri}: {error.strerror} after {self.bytes} bytes; nothing of it was kept. Make room, or name "
                "another place; the next try begins this file anew."
            )
        if isinstance(error, FileNotFoundError) and self._is_file:  # emptied meanwhile
            return Unavailable(f"write {self.uri}: {error}")
        return as_ours(f"write {self.uri}", error)


def try_writing(folder_uri: str, name: str) -> None:
    """Write a small object into the folder and remove the object again. Raise what writing and removing raise."""
    uri = f"{folder_uri.rstrip('/')}/{name}"
    write_object(uri, b"Written to see whether results can be, and removed at once.\n")
    remove(uri)


def write_object(uri: str, content: bytes, mark: str = "") -> None:
    """Write a whole object in one call; `mark` as in ObjectWriter."""
    with ObjectWriter(uri, mark) as out:
        out.write(content)
        out.commit()
