"""Compressed objects, read as what is in them; gzip and zstd are known by their first bytes, not by the name."""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import IO, Any, cast

from opensearch_batch.errors import InputError, Unavailable
from opensearch_batch.extras import imported_from
from opensearch_batch.storage import READ_BYTES, begin_of

GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"

OTHERS = {b"PK\x03\x04": "a zip archive", b"BZh": "bzip2", b"\xfd7zXZ": "xz"}
"""First bytes of what is not read."""

LONGEST_SIGN = 6

SUFFIXES = (".gz", ".gzip", ".zst", ".zstd")


@contextmanager
def decompressed(source: IO[bytes], name: str) -> Generator[IO[bytes], None, None]:
    """Stream the content of an object; an object that is not compressed comes as it is.

    Raise InputError for broken data, and for a kind of compression that is not read.
    """
    begin = begin_of(source, name, LONGEST_SIGN)
    for signs, kind in OTHERS.items():
        if begin.startswith(signs):
            raise InputError(f"{name} is {kind}; compress it with gzip or zstd, or not at all")
    if begin.startswith(GZIP):
        inner, broken = _gzip(source)
    elif begin.startswith(ZSTD):
        inner, broken = _zstd(source)
    else:
        yield source
        return
    with io.BufferedReader(cast("Any", _Content(inner, _mended(source, name, broken))), READ_BYTES) as content:
        yield content


Opened = tuple[Any, tuple[type[Exception], ...]]
"""A file object, and its errors for broken data."""


def _gzip(source: IO[bytes]) -> Opened:
    return gzip.GzipFile(fileobj=source), (gzip.BadGzipFile, zlib.error)


def _zstd(source: IO[bytes]) -> Opened:
    with imported_from("zstd", "an input compressed with zstd"):
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd
    return zstd.ZstdFile(source), (zstd.ZstdError,)


Explain = Callable[[Exception], Exception]


def _mended(source: IO[bytes], name: str, broken: tuple[type[Exception], ...]) -> Explain:
    """Return how errors of reading become ours. A storage that broke off is tried again, a broken file is not."""

    def explain(error: Exception) -> Exception:
        if isinstance(error, EOFError):
            size, at = getattr(source, "size", None), source.tell()
            if size is not None and at < size:
                return Unavailable(f"{name}: the source broke off after {at} of {size} bytes. Nothing was sent.")
            return InputError(f"{name}: the compressed data ends too early. Was the file written to its end?")
        if isinstance(error, broken):
            return InputError(f"{name}: the compressed data is broken: {error}. Compress the file again.")
        return error

    return explain


class _Content(io.RawIOBase):
    """What is in a compressed file, with errors as ours."""

    def __init__(self, inner: Any, explain: Explain) -> None:
        self._inner, self._explain = inner, explain

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            return int(self._inner.readinto(buffer))
        except Exception as error:  # every storage's library has errors of its own
            raise self._explain(error) from error

    def close(self) -> None:
        self._inner.close()
        super().close()
