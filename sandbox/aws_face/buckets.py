"""Buckets and objects: moto's S3 answers for them, their contents lie in files of the sandbox and outlive it.

moto (https://docs.getmoto.org) keeps its backends and a list of every object ever made in module variables, contents
included. Here each sandbox has an account of moto's to itself, an object's content is moved to a file as soon as it
is written, and the lists are emptied after every call: memory does not grow with the objects, and two sandboxes of a
process may have buckets of the same name. What goes through here holds one lock, as moto is not made for threads.

Kept: buckets and the newest version of each object with its metadata. Lost by a restart: uploads in parts under way,
older versions, tags, policies and other settings of a bucket.
"""

from __future__ import annotations

import io
import itertools
import os
import shutil
import threading
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sandbox.aws_face.caller import AWSError
from sandbox.ids import opensearch_id
from sandbox.importing import IMPORTING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from werkzeug.datastructures import Headers

    from sandbox.box import Box

BUCKET, OBJECT = "s3_bucket", "s3_object"
FILE_PREFIX = "s3-"
PIECE_BYTES = 1024 * 1024
PARTITION = "aws"
KEPT = ("_etag", "_metadata", "_storage_class", "encryption", "checksum_algorithm", "checksum_value", "checksum_type")
NOT_MADE = b""

_numbers = itertools.count(100_000_000_000)
# moto's module variables are shared by all sandboxes of a process.
_LOCK = threading.RLock()


class Buckets:
    """Objects, and what S3 answers. moto is imported with the first use: it takes most of a second."""

    def __init__(self, box: Box) -> None:
        self._state = box.state
        self._account = ""
        self._app: Any = None
        self._backend: Any = None

    def close(self) -> None:
        """Forget what is in memory; the next use reads it from disk."""
        with _LOCK:
            if self._backend is not None:
                _backends().pop(self._account, None)
            self._backend = self._app = None

    def respond(self, environ: dict[str, Any], bucket: str, key: str | None) -> tuple[int, Headers, bytes]:
        """moto's answer; when this returns, what the call wrote is on disk."""
        from werkzeug.test import run_wsgi_app

        with _LOCK:
            self._open()
            environ["HTTP_X_MOTO_ACCOUNT_ID"] = self._account
            if self.has_bucket(bucket):  # else a second CreateBucket would put an empty one in its place
                _backends().bucket_accounts[bucket] = (PARTITION, self._account)
            try:
                pieces, status, headers = run_wsgi_app(self._app, environ, buffered=True)
                body = b"".join(pieces)
                if environ["REQUEST_METHOD"] not in ("GET", "HEAD") and bucket:
                    self._keep(bucket, key)
            finally:
                _backends().bucket_accounts.pop(bucket, None)
                _forget_instances()
        return int(status.split()[0]), headers, body

    def look(self, environ: dict[str, Any], bucket: str, key: str) -> tuple[int, Headers, BinaryIO | None]:
        """moto's answer to HEAD, and the object's content if it is there; the caller closes it."""
        with _LOCK:
            status, headers, _ = self.respond(environ | {"REQUEST_METHOD": "HEAD"}, bucket, key)
            stored = self._state.get(OBJECT, _id(bucket, key))
            if status != 200 or stored is None:
                return status, headers, None
            return status, headers, (self._state.files / stored.body["file"]).open("rb")

    def has_bucket(self, bucket: str) -> bool:
        return self._state.get(BUCKET, bucket) is not None

    def keys(self, bucket: str, prefix: str) -> list[str]:
        with _LOCK:
            self._open()
            held = self._backend.buckets.get(bucket)
            names = [] if held is None else [str(name) for name, _ in held.keys.items()]
        return sorted(name for name in names if name.startswith(prefix))

    def size(self, bucket: str, key: str) -> int | None:
        stored = self._state.get(OBJECT, _id(bucket, key))
        return int(stored.body["size"]) if stored else None

    def read(self, bucket: str, key: str) -> Iterator[bytes]:
        with _LOCK:
            stored = self._state.get(OBJECT, _id(bucket, key))
            if stored is None:
                raise KeyError(f"s3://{bucket}/{key}")
            file = (self._state.files / stored.body["file"]).open("rb")
        return _pieces(file)

    def write(self, bucket: str, key: str, content: Path) -> None:
        with _LOCK:
            # It clears away what a kill left among the drafts, so it comes before the copy.
            self._open()
        copy = self._state.work / f"{FILE_PREFIX}{opensearch_id()}"
        shutil.copyfile(content, copy)
        with _LOCK:
            self._open()
            if bucket not in self._backend.buckets:
                copy.unlink(missing_ok=True)
                raise KeyError(f"s3://{bucket}")
            made = self._backend.put_object(bucket, key, NOT_MADE, disable_notification=True)
            made.contentsize = copy.stat().st_size
            made._value_buffer.close()
            made._value_buffer = OnDisk(copy)
            self._keep(bucket, key)
            copy.unlink(missing_ok=True)
            _forget_instances()

    def _open(self) -> None:
        if self._backend is not None:
            return
        try:
            with IMPORTING:
                from moto.moto_server.werkzeug_app import create_backend_app
        except ImportError as error:
            raise AWSError(501, "NotImplemented", f"S3 needs moto[s3], flask and flask-cors here: {error}") from None

        self._app = create_backend_app("s3")
        self._account = str(next(_numbers))
        self._backend = _backends()[self._account][PARTITION]
        for stored in self._state.all(BUCKET):
            made = self._backend.create_bucket(stored.id, stored.body["region"])
            made.creation_date = datetime.fromisoformat(stored.body["created"])
            _backends().bucket_accounts.pop(stored.id, None)
        for stored in self._state.all(OBJECT):
            self._load(stored.body)
        known = {stored.body["file"] for stored in self._state.all(OBJECT)}
        for folder in (self._state.files, self._state.work):
            for path in folder.glob(f"{FILE_PREFIX}*"):
                if folder == self._state.work or path.name not in known:
                    path.unlink(missing_ok=True)
        _forget_instances()

    def _load(self, body: dict[str, Any]) -> None:
        made = self._backend.put_object(body["bucket"], body["key"], NOT_MADE, disable_notification=True)
        for name in KEPT:
            value = body["more"].get(name)
            if name == "_metadata":
                made._metadata.update(value)
            else:
                setattr(made, name, value)
        made.last_modified = datetime.fromisoformat(body["modified"])
        made.contentsize = body["size"]
        self._put_on_disk(made, self._state.files / body["file"])

    def _keep(self, bucket: str, key: str | None) -> None:
        """Bring what is on disk in line with moto: one key, or the whole bucket."""
        held = self._backend.buckets.get(bucket)
        if held is None:
            self._drop_objects(bucket, None)
            self._state.delete(BUCKET, bucket)
            return
        if not self.has_bucket(bucket):
            created = held.creation_date.isoformat()
            self._state.put(BUCKET, bucket, {"region": held.region_name, "created": created})
        if key is None:
            self._drop_objects(bucket, set(held.keys))
            return
        now = held.keys.get(key)
        if now is None or not hasattr(now, "_value_buffer"):
            self._drop(_id(bucket, key))
        else:
            self._keep_object(bucket, key, now)

    def _keep_object(self, bucket: str, key: str, now: Any) -> None:
        before = self._state.get(OBJECT, _id(bucket, key))
        etag = now.etag.strip('"')
        name = before.body["file"] if before else ""
        if not isinstance(now._value_buffer, OnDisk) or now._value_buffer.path != self._state.files / name:
            name = f"{FILE_PREFIX}{opensearch_id()}"
            self._save(now, self._state.files / name)
        more = {field: getattr(now, field) for field in KEPT} | {"_etag": etag, "_metadata": dict(now._metadata)}
        modified = now.last_modified.isoformat()
        self._state.put(
            OBJECT,
            _id(bucket, key),
            {
                "bucket": bucket,
                "key": key,
                "file": name,
                "size": now.contentsize,
                "modified": modified,
                "more": more,
            },
        )
        if before and before.body["file"] != name:
            (self._state.files / before.body["file"]).unlink(missing_ok=True)

    def _save(self, now: Any, target: Path) -> None:
        draft = self._state.work / target.name
        now._value_buffer.seek(0)
        with draft.open("wb") as file:
            shutil.copyfileobj(now._value_buffer, file, PIECE_BYTES)
        os.replace(draft, target)
        self._put_on_disk(now, target)

    def _put_on_disk(self, key: Any, path: Path) -> None:
        key._value_buffer.close()
        key._value_buffer = OnDisk(path)
        if key.multipart is not None:
            key.multipart.dispose()
            key.multipart = None
        key.disposed = True

    def _drop_objects(self, bucket: str, but: set[str] | None) -> None:
        for stored in self._state.all(OBJECT):
            if stored.body["bucket"] == bucket and (but is None or stored.body["key"] not in but):
                self._drop(stored.id)

    def _drop(self, id_: str) -> None:
        stored = self._state.delete(OBJECT, id_)
        if stored is not None:
            (self._state.files / stored.body["file"]).unlink(missing_ok=True)


class OnDisk:
    """The part of a temporary file that moto's FakeKey uses, on a file that is open only while it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._at = 0

    def seek(self, offset: int) -> int:
        self._at = offset
        return offset

    def read(self, size: int = -1) -> bytes:
        with self.path.open("rb") as file:
            file.seek(self._at)
            data = file.read(size)
        self._at += len(data)
        return data

    def truncate(self) -> int:
        raise io.UnsupportedOperation("an object of S3 is replaced, not changed")

    def close(self) -> None:
        """The file belongs to the sandbox."""


def _pieces(file: Any) -> Iterator[bytes]:
    with file:
        while piece := file.read(PIECE_BYTES):
            yield piece


def _id(bucket: str, key: str) -> str:
    return f"{bucket}/{key}"


def _backends() -> Any:
    from moto.s3.models import s3_backends

    return s3_backends


def _forget_instances() -> None:
    from moto.s3 import models

    kinds: tuple[Any, ...] = (models.FakeKey, models.FakeMultipart, models.FakeBucket, models.FakeAcl)
    for kind in kinds:
        kind.instances_tracked.clear()
