"""Objects that are there: opened, listed, measured, removed."""

from __future__ import annotations

import glob
import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

from opensearch_batch.errors import InputError, NoSuchObject
from opensearch_batch.storage.address import LOCAL, path_of, with_connection
from opensearch_batch.storage.errors import told

PARTIAL = ".partial"
"""The end of the name of a file that is being written."""
BLOCK_BYTES = 16 << 20
"""Bytes of a part of an object on object storage. Up to three parts of an open object are in memory; S3 allows 10,000
parts an object.
"""
READ_BYTES = 1 << 18


def matches(uri: str) -> list[str]:
    """Return the sorted URIs of the objects matched by the glob signs * ? [ ]; a plain URI is returned unchecked.
    Brackets in the name of a folder or an object that is there are signs of the name.
    """
    if not _has_signs(uri):
        return [uri]
    with told(f"list {uri}"):
        path = path_of(uri)
        if (pattern := _pattern(path.fs, path.path)) is None:
            return [uri]
        found = sorted(path.fs.glob(pattern))
    return [uri[: len(uri) - len(uri.split("://", 1)[1])] + with_connection(str(name), uri) for name in found]


def _pattern(storage: Any, path: str) -> str | None:
    """Return a path as a glob; None where brackets of names are all the signs that it has."""
    parts, pattern, is_glob = path.split("/"), list[str](), False
    for end, part in enumerate(parts, start=1):
        is_name = "[" in part and storage.exists("/".join(parts[:end]))
        pattern.append(glob.escape(part) if is_name else part)
        is_glob |= not is_name and _has_signs(part)
    return "/".join(pattern) if is_glob else None


def _has_signs(text: str) -> bool:
    return any(sign in text for sign in "*?[")


@contextmanager
def open_binary(uri: str, block_bytes: int = BLOCK_BYTES) -> Iterator[IO[bytes]]:
    """Open an object for reading, as a context manager; from object storage so many bytes are read at once. Raise
    NoSuchObject for an absent object, and InputError for a folder.
    """
    try:
        with told(f"read {uri}"):
            path = path_of(uri)
            source = path.fs.open(path.path, "rb", block_size=block_bytes)
            if path.protocol not in LOCAL:
                source = _Buffered(source)
    except FileNotFoundError:
        raise NoSuchObject(f"{uri}: no such object") from None
    except IsADirectoryError:
        raise InputError(f"{uri}: is a folder; name a file, or a glob in it") from None
    with source:
        yield source


def begin_of(source: IO[bytes], name: str, count: int) -> bytes:
    """Return the first bytes of an open object, which is read from the beginning again afterwards."""
    with told(f"read {name}"):
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
        with told(f"list {uri}"):
            path = path_of(uri)
            return [str(name).rsplit("/", 1)[-1] for name in path.fs.ls(path.path, detail=False)]
    except FileNotFoundError:
        return []


def size_of(uri: str) -> int | None:
    """Return the bytes of an object; None for an absent object."""
    try:
        with told(f"look at {uri}"):
            path = path_of(uri)
            return int(path.fs.info(path.path)["size"])
    except FileNotFoundError:
        return None


def exists(uri: str) -> bool:
    return size_of(uri) is not None


def remove(uri: str, *, recursive: bool = False) -> None:
    """Remove an object, or a folder with `recursive`; an absent object is no error.

    Object by object: s3fs' `rm` says nothing of objects that S3 refuses to delete, and takes a name with * ? [ ] for a
    glob, which other objects match. What another process has removed meanwhile ends no removal of the rest.
    """
    with suppress(FileNotFoundError), told(f"remove {uri}"):
        path = path_of(uri)
        if not path.fs.exists(path.path):
            return
        path.fs.invalidate_cache(path.path)
        for name in path.fs.find(path.path) if recursive else [path.path]:
            with suppress(FileNotFoundError):
                path.fs.rm_file(name)
        if recursive and path.protocol in LOCAL:  # the folders, and links to nothing
            with suppress(FileNotFoundError):
                path.fs.rm(path.path, recursive=True)


def remove_begun(uri: str) -> None:
    """Remove what killed writers of a file have left beside it. Nobody else may be writing the file."""
    with told(f"look at {uri}"):
        if path_of(uri).protocol not in LOCAL:
            return
    folder, name = uri.rsplit("/", 1)
    for left in names_in(folder):
        if left.startswith(f".{name}.") and left.endswith(PARTIAL):
            remove(f"{folder}/{left}")
