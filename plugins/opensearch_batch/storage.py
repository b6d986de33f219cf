"""Objects by URI, on any storage that Airflow knows: file://, s3://conn@bucket/key, … A written object is there whole
or not at all.
"""

from __future__ import annotations

import errno
import hashlib
import io
import logging
import os
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, cast

from opensearch_batch.errors import BatchError, InputError, Refused, SpecError, Unavailable

log = logging.getLogger(__name__)

LOCAL = ("file", "local")
BLOCK_BYTES = 16 << 20
"""Of an object storage's parts; up to three are in memory for each open object. S3 takes 10,000 an object."""
READ_BYTES = 1 << 18
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class Line:
    """One raw line, and where it stands (1-based)."""

    raw: bytes
    uri: str
    number: int

    def __str__(self) -> str:
        return f"{self.uri} line {self.number}"


def read_lines(uri: str) -> Generator[Line, None, None]:
    """Lines of the object, or of all objects a glob finds, in name order. InputError: a plain URI is absent.
    Unavailable: one broke off, with an error or before its size was reached.
    """
    for name in matches(uri):
        with open_binary(name) as source:
            yield from _lines(source, name)


def _lines(source: IO[bytes], name: str) -> Iterator[Line]:
    size = getattr(source, "size", None)
    raws = iter(source)
    at = number = 0
    while True:
        try:
            raw = next(raws, b"")
        except PermissionError as error:
            raise _as_ours(f"read {name}", error) from error
        except Exception as error:  # every storage's library has errors of its own
            raise _broke_off(name, number, at, size, f"{type(error).__name__}: {error}") from error
        at += len(raw)
        if size is not None and at < size and not raw.endswith(b"\n"):
            raise _broke_off(name, number, at, size, "no more came")
        if not raw:
            return
        number += 1
        yield Line(raw, name, number)


def _broke_off(name: str, lines: int, at: int, size: int | None, why: str) -> Unavailable:
    of = "" if size is None else f" of {size}"
    return Unavailable(
        f"{name}: the source broke off after line {lines} ({at}{of} bytes): {why}. "
        "Nothing was sent; the next try reads from the beginning."
    )


def matches(uri: str) -> list[str]:
    """The URI itself, or what its * ? [ ] find, sorted; none found is an empty list."""
    if not any(sign in uri for sign in "*?["):
        return [uri]
    with _told(f"list {uri}"):
        path = _path(uri)
        found = sorted(path.fs.glob(path.path))
    return [uri[: len(uri) - len(uri.split("://", 1)[1])] + _strip(str(name), uri) for name in found]


@contextmanager
def open_binary(uri: str) -> Iterator[IO[bytes]]:
    try:
        with _told(f"read {uri}"):
            path = _path(uri)
            source = path.fs.open(path.path, "rb", block_size=BLOCK_BYTES)
            if path.protocol not in LOCAL:
                source = _Buffered(source)
    except (FileNotFoundError, IsADirectoryError) as error:
        what = "no such object" if isinstance(error, FileNotFoundError) else "is a folder; name a file, or a glob in it"
        raise InputError(f"{uri}: {what}") from None
    with source:
        yield source


class _Buffered(io.BufferedReader):
    """fsspec's own readline copies a whole block for each line."""

    def __init__(self, source: Any) -> None:
        super().__init__(source, READ_BYTES)
        self.size = getattr(source, "size", None)


def names_in(uri: str) -> list[str]:
    """Names of the objects directly in a folder; an absent folder has none."""
    try:
        with _told(f"list {uri}"):
            path = _path(uri)
            return [str(name).rsplit("/", 1)[-1] for name in path.fs.ls(path.path, detail=False)]
    except FileNotFoundError:
        return []


def size_of(uri: str) -> int | None:
    """Bytes of the object, None where there is none."""
    try:
        with _told(f"look at {uri}"):
            path = _path(uri)
            return int(path.fs.info(path.path)["size"])
    except FileNotFoundError:
        return None


def exists(uri: str) -> bool:
    return size_of(uri) is not None


def remove(uri: str, *, recursive: bool = False) -> None:
    """Remove the object; an absent one is no error."""
    with _told(f"remove {uri}"):
        path = _path(uri)
        if path.fs.exists(path.path):
            path.fs.rm(path.path, recursive=recursive)


class ObjectWriter:
    """Writes beside the final name and moves there on commit (files), or completes one upload (object storage).

    Without `commit` nothing is left behind. `sha256`, `bytes` and `lines` count what was written.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.bytes = self.lines = 0
        self._digest = hashlib.sha256()
        self._committed = False

    def __enter__(self) -> Self:
        with _told(f"write {self.uri}"):
            self._open()
        return self

    def _open(self) -> None:
        path = _path(self.uri)
        self._is_file = path.protocol in LOCAL
        if self._is_file:
            self._final = Path(path.path)
            self._final.parent.mkdir(parents=True, exist_ok=True)
            self._partial = self._final.with_name(f".{self._final.name}.{os.getpid()}.partial")
            self._out: Any = self._partial.open("wb", buffering=1 << 18)
        else:
            self._out = path.fs.open(path.path, "wb", block_size=BLOCK_BYTES, autocommit=False)

    def write(self, chunk: bytes) -> None:
        try:
            self._out.write(chunk)
        except Exception as error:  # a context manager here would cost each row
            raise self._explained(error) from error
        self._digest.update(chunk)
        self.bytes += len(chunk)
        self.lines += 1

    def commit(self) -> None:
        try:
            self._complete()
        except Exception as error:
            raise self._explained(error) from error
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
        """What cannot be discarded was never completed: no reader sees it."""
        try:
            self._out.close()
            self._out.discard()
        except Exception as error:  # every storage's library has errors of its own
            log.warning("%s: what was begun could not be discarded: %s: %s", self.uri, type(error).__name__, error)

    def _explained(self, error: Exception) -> Exception:
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            return Unavailable(
                f"{self.uri}: {error.strerror} after {self.bytes} bytes; nothing of it was kept. Make room, or name "
                "another place; the next try begins this file anew."
            )
        if isinstance(error, FileNotFoundError) and not self._is_file:
            return Refused(f"write {self.uri}: {error}. Is the name right?")
        return _as_ours(f"write {self.uri}", error)


@contextmanager
def _told(what: str) -> Iterator[None]:
    """What is absent, or a folder, is the caller's to tell."""
    try:
        yield
    except (BatchError, FileNotFoundError, IsADirectoryError):
        raise
    except (ValueError, ImportError) as error:  # Airflow's, of a kind of address that it has no library for
        raise SpecError(
            f"{what}: {error}. Is Airflow's provider for it installed on this machine (for s3://: "
            "pip install 'opensearch-batch[amazon]')?"
        ) from error
    except Exception as error:  # every storage's library has errors of its own
        raise _as_ours(what, error) from error


def _as_ours(what: str, error: Exception) -> BatchError:
    if isinstance(error, PermissionError):
        return Refused(f"{what}: {error}. May the connection's key, or this user, do that?")
    return Unavailable(f"{what}: {type(error).__name__}: {error}")


def connect(uris: Iterable[str]) -> None:
    """Have Airflow look up the storages' connections now, in this thread: it keeps what it made, for all threads."""
    for uri in {"/".join(uri.split("/", 3)[:3]): uri for uri in uris}.values():
        _ = _path(uri).fs


def write_object(uri: str, content: bytes) -> None:
    with ObjectWriter(uri) as out:
        out.write(content)
        out.commit()


def _path(uri: str) -> Any:
    from airflow.sdk import ObjectStoragePath

    if "://" not in uri:
        raise InputError(f"{uri!r} is not a URI; write file:///path or s3://connection@bucket/key")
    return cast("Any", ObjectStoragePath)(uri)


def _strip(name: str, uri: str) -> str:
    """fsspec returns paths without the scheme and without Airflow's connection id."""
    connection = uri.split("://", 1)[1].split("/", 1)[0]
    prefix = connection.split("@", 1)[0] + "@" if "@" in connection else ""
    return prefix + name
