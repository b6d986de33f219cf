"""Objects by URI on any storage known to Airflow: file:///path, s3://connection@bucket/key, …

A written object exists whole or not at all. Example:

    with ObjectWriter("s3://aws_default@bucket/rows.jsonl") as out:
        out.write(orjson.dumps({"id": "1"}, option=orjson.OPT_APPEND_NEWLINE))
        out.commit()
    for line in read_lines("s3://aws_default@bucket/rows.jsonl"):
        print(line, orjson.loads(line.raw))

Errors: InputError for a text that is no URI and for reading an absent object, SpecError for a scheme without an
installed provider of Airflow, Refused without the right and for a name that nothing can have, else Unavailable.
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
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, cast

from opensearch_batch.errors import BatchError, InputError, Refused, SpecError, Unavailable
from opensearch_batch.scrubbing import remember_connection, scrubbed

log = logging.getLogger(__name__)

LOCAL = ("file", "local")
PARTIAL = ".partial"
BLOCK_BYTES = 16 << 20
"""Bytes of a part of an object on object storage. Up to three parts of an open object are in memory; S3 allows 10,000
parts an object.
"""
READ_BYTES = 1 << 18
Errors = tuple[type[Exception], ...]
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class SourceLine:
    """A raw line of an object, line end included; `number` counts from 1."""

    raw: bytes
    uri: str
    number: int

    def __str__(self) -> str:
        return f"{self.uri} line {self.number}"


def read_lines(uri: str) -> Generator[SourceLine, None, None]:
    """Yield the lines of an object; * ? [ ] in the name are only signs of the name.

    Raise InputError for an absent object. Raise Unavailable where the object breaks off, with an error or before the
    object's size is reached; the next try of the task reads from the beginning.
    """
    with open_binary(uri) as source:
        yield from lines_of(source, uri)


def lines_of(source: IO[bytes], name: str) -> Iterator[SourceLine]:
    """Yield the lines of an open object. Raise Unavailable where the object breaks off."""
    size = getattr(source, "size", None)
    raws = iter(source)
    at = number = 0
    while True:
        try:
            raw = next(raws, b"")
        except BatchError:
            raise
        except PermissionError as error:
            raise _as_ours(f"read {name}", error) from None
        except Exception as error:  # every storage's library has errors of its own
            raise _broke_off(name, number, at, size, f"{type(error).__name__}: {error}") from None
        at += len(raw)
        if size is not None and at < size and not raw.endswith(b"\n"):
            raise _broke_off(name, number, at, size, "no more came")
        if not raw:
            return
        number += 1
        yield SourceLine(raw, name, number)


def _broke_off(name: str, lines: int, at: int, size: int | None, why: str) -> Unavailable:
    of = "" if size is None else f" of {size}"
    return Unavailable(
        f"{name}: the source broke off after line {lines} ({at}{of} bytes): {why}. "
        "Nothing was sent; the next try reads from the beginning."
    )


def matches(uri: str) -> list[str]:
    """Return the sorted URIs of the objects matched by the glob signs * ? [ ]; a plain URI is returned unchecked."""
    if not any(sign in uri for sign in "*?["):
        return [uri]
    with _told(f"list {uri}"):
        path = _path(uri)
        found = sorted(path.fs.glob(path.path))
    return [uri[: len(uri) - len(uri.split("://", 1)[1])] + _strip(str(name), uri) for name in found]


@contextmanager
def open_binary(uri: str, block_bytes: int = BLOCK_BYTES) -> Iterator[IO[bytes]]:
    """Open an object for reading, as a context manager; from object storage so many bytes are read at once. Raise
    InputError for an absent object and for a folder.
    """
    try:
        with _told(f"read {uri}"):
            path = _path(uri)
            source = path.fs.open(path.path, "rb", block_size=block_bytes)
            if path.protocol not in LOCAL:
                source = _Buffered(source)
    except (FileNotFoundError, IsADirectoryError) as error:
        what = "no such object" if isinstance(error, FileNotFoundError) else "is a folder; name a file, or a glob in it"
        raise InputError(f"{uri}: {what}") from None
    with source:
        yield source


def begin_of(source: IO[bytes], name: str, count: int) -> bytes:
    """Return the first bytes of an open object, which is read from the beginning again afterwards."""
    with _told(f"read {name}"):
        begin = source.read(count)
        source.seek(0)
    return begin


class _Buffered(io.BufferedReader):
    """A buffer around an fsspec file, because fsspec's own readline copies a whole block for every line."""

    def __init__(self, source: Any) -> None:
        super().__init__(source, READ_BYTES)
        self.size = getattr(source, "size", None)


def names_in(uri: str) -> list[str]:
    """Return the names of the objects directly in a folder; an empty list for an absent folder."""
    try:
        with _told(f"list {uri}"):
            path = _path(uri)
            return [str(name).rsplit("/", 1)[-1] for name in path.fs.ls(path.path, detail=False)]
    except FileNotFoundError:
        return []


def size_of(uri: str) -> int | None:
    """Return the bytes of an object; None for an absent object."""
    try:
        with _told(f"look at {uri}"):
            path = _path(uri)
            return int(path.fs.info(path.path)["size"])
    except FileNotFoundError:
        return None


def exists(uri: str) -> bool:
    return size_of(uri) is not None


def remove(uri: str, *, recursive: bool = False) -> None:
    """Remove an object, or a folder with `recursive`; an absent object is no error.

    Object by object: s3fs' `rm` says nothing of objects that S3 refuses to delete, and takes a name with * ? [ ] for a
    glob, which other objects match.
    """
    with _told(f"remove {uri}"):
        path = _path(uri)
        if not path.fs.exists(path.path):
            return
        if recursive and path.protocol in LOCAL:
            path.fs.rm(path.path, recursive=True)
            return
        path.fs.invalidate_cache(path.path)
        for name in path.fs.find(path.path) if recursive else [path.path]:
            path.fs.rm_file(name)


def remove_begun(uri: str) -> None:
    """Remove what killed writers of a file have left beside it. Nobody else may be writing the file."""
    path = _path(uri)
    if path.protocol not in LOCAL:
        return
    folder, name = uri.rsplit("/", 1)
    for left in names_in(folder):
        if left.startswith(f".{name}.") and left.endswith(PARTIAL):
            remove(f"{folder}/{left}")


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
        with _told(f"write {self.uri}", left=(BatchError,)):
            self._open()
        return self

    def _open(self) -> None:
        path = _path(self.uri)
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
        return _as_ours(f"write {self.uri}", error)


@contextmanager
def _told(what: str, *, left: Errors = (BatchError, FileNotFoundError, IsADirectoryError)) -> Iterator[None]:
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
        raise _as_ours(what, error) from None


def _as_ours(what: str, error: Exception) -> BatchError:
    if isinstance(error, PermissionError) or getattr(error, "errno", None) == errno.EROFS:
        return Refused(f"{what}: {error}. May the connection's key, or this user, do that?")
    if isinstance(error, FileNotFoundError | IsADirectoryError | FileExistsError | NotADirectoryError):
        return Refused(f"{what}: {error}. Is the name right?")
    return Unavailable(f"{what}: {type(error).__name__}: {error}")


def connect(uris: Iterable[str]) -> None:
    """Look up the storages' connections now, in this thread; Airflow keeps the file systems for all threads."""
    for uri in {"/".join(uri.split("/", 3)[:3]): uri for uri in uris}.values():
        _ = _path(uri).fs


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


def _path(uri: str) -> Any:
    from airflow.sdk import ObjectStoragePath

    if "://" not in uri:
        raise InputError(f"{uri!r} is not a URI; write file:///path or s3://connection@bucket/key")
    if connection_id := _connection_prefix(uri).removesuffix("@"):
        _require_connection(connection_id)
    return cast("Any", ObjectStoragePath)(uri)


def _strip(name: str, uri: str) -> str:
    """Return a path from fsspec with the connection id of `uri` in front; fsspec drops scheme and connection id."""
    return _connection_prefix(uri) + name


def _connection_prefix(uri: str) -> str:
    """`connection@` of a URI, or nothing."""
    host = uri.split("://", 1)[1].split("/", 1)[0]
    return host.split("@", 1)[0] + "@" if "@" in host else ""


@cache
def _require_connection(connection_id: str) -> None:
    """Raise SpecError where Airflow has no such connection: its providers would go on with the machine's own keys."""
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        remember_connection(BaseHook.get_connection(connection_id))
    except AirflowNotFoundException as error:
        name = f"AIRFLOW_CONN_{connection_id.upper()}"
        raise SpecError(
            f"Airflow has no connection {connection_id!r}. Add it; in a shell or a notebook, where Airflow's database "
            f"is not asked, set {name}"
        ) from error
