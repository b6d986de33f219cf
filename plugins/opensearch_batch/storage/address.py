"""The address of an object: its path on a storage, and the connection that a URI names."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, cast

from fsspec.dircache import DirCache

from opensearch_batch.errors import InputError, SpecError
from opensearch_batch.scrubbing import remember_connection

LOCAL = ("file", "local")


def path_of(uri: str) -> Any:
    from airflow.sdk import ObjectStoragePath

    if "://" not in uri:
        raise InputError(f"{uri!r} is not a URI; write file:///path or s3://connection@bucket/key")
    if connection_id := _connection_prefix(uri).removesuffix("@"):
        _require_connection(connection_id)
    path = cast("Any", ObjectStoragePath)(uri)
    _look_each_time(path.fs)
    return path


def _look_each_time(storage: Any) -> None:
    """Keep no listing of folders. fsspec would answer from the process's first look for ever: other tasks and machines
    write into the same folders, and what they have written, changed or removed since would not be seen.
    """
    if isinstance(listings := getattr(storage, "dircache", None), DirCache):
        listings.use_listings_cache = False
        listings.clear()


def with_connection(name: str, uri: str) -> str:
    """Return a path from fsspec with the connection id of `uri` in front; fsspec drops scheme and connection id."""
    return _connection_prefix(uri) + name


def connect(uris: Iterable[str]) -> None:
    """Look up the storages' connections now, in this thread; Airflow keeps the file systems for all threads."""
    for uri in {"/".join(uri.split("/", 3)[:3]): uri for uri in uris}.values():
        _ = path_of(uri).fs


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
