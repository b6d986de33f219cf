"""A vendor's files: upload, download, delete; and the vendor's own list of jobs. Shards and results lie in object
storage (storage/).
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast
from urllib.parse import urlsplit

from opensearch_batch.cluster.address import is_loopback
from opensearch_batch.errors import SpecError
from opensearch_batch.providers.contract import missing
from opensearch_batch.scrubbing import remember_connection

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from opensearch_batch.flow.answers import Usage
    from opensearch_batch.flow.jobs import Outcome
    from opensearch_batch.flow.shards import Shard
    from opensearch_batch.providers.protocol import Provider


log = logging.getLogger(__name__)


class ProviderStore(Protocol):
    """A vendor's files and list of jobs. Calls raise Terminal or Transient; reads are repeated inside."""

    def upload(self, shard: Shard, name: str) -> str:
        """Stream the shard's object into an input file called `name`; return the file's id. Not repeated inside.

        After a broken upload `find_uploads` finds no file of this name.
        """
        ...

    def find_uploads(self, prefix: str) -> dict[str, str]:
        """Return the ids of files with names that begin with `prefix`, by name; of namesakes the oldest."""
        ...

    def stored_bytes(self) -> int:
        """Return the bytes of all files at the vendor, for whatever purpose."""
        ...

    def delete_file(self, file_id: str) -> bool:
        """Return False where the file is gone already."""
        ...

    def find_jobs(self, input_file_id: str) -> list[dict[str, Any]]:
        """Return the provider's own documents of all jobs over this file, oldest first."""
        ...

    def recent_jobs(self, since: float) -> Iterator[dict[str, Any]]:
        """Yield the provider's own documents of all jobs made after `since` (epoch seconds), whoever submitted, newest
        first; requests no more pages than are read.
        """
        ...

    def recent_uploads(self, since: float) -> Iterator[dict[str, Any]]:
        """`id`, `filename`, `bytes` and `created_at` of the batch input files made after `since`, newest first. With
        `since` 0 also what broken uploads and deletions have left, by the id with which `delete_file` removes it.
        """
        ...

    def file_bytes(self, file_id: str) -> int | None:
        """Return None where the provider no longer has the file."""
        ...

    def get_job(self, job_id: str) -> dict[str, Any]:
        """Return the provider's own document; for an ended job with the facts from which `read_job` sees answers."""
        ...

    def list_jobs(self, ids: Collection[str], most_pages: int, since: float | None) -> dict[str, dict[str, Any]]:
        """Return the provider's own documents of the wanted jobs in the provider's list, by id. The walk begins at the
        newest job and ends with the last wanted job, after `most_pages`, or at jobs older than `since` (epoch seconds).
        """
        ...

    def cancel_job(self, job_id: str) -> None: ...

    def lines(self, file_id: str) -> Iterator[bytes]:
        """Yield the file's lines without line ends; a broken download is resumed, never cut short."""
        ...

    def answers(self, outcome: Outcome) -> Iterator[bytes]:
        """Yield the lines for `read_line` from all outputs of an ended job, answers before reasons."""
        ...

    def usage(self, outcome: Outcome) -> Usage | None:
        """Return the usage of the whole job from a source beside job and answers; None for vendors without."""
        ...


class StoreClass(Protocol):
    """Classmethods of a ProviderStore: the parts of an Airflow connection in the vendor's use."""

    def opened(self, connection: Connection, default_url: str, job: Mapping[str, Any]) -> ProviderStore:
        """Open the store. Raise SpecError where connection, or `job` (a spec's `model.job`), lacks a needed value."""
        ...

    def base_url(self, connection: Connection, default_url: str) -> str:
        """Return the base URL of the server; `default_url` for the vendor's own."""
        ...

    def settings(self, connection: Connection) -> dict[str, Any]:
        """Return the settings of `job` known from the connection."""
        ...

    def require_libraries(self) -> None:
        """Raise SpecError where a library is not installed that the store needs, up to reading the answers."""
        ...

    def parameters(self, model: str, endpoint: str) -> Collection[str]:
        """Return the names of the vendor's parameters of a request; empty where the model itself decides."""
        ...

    def credential(self, names: Mapping[str, Any], connection: Connection) -> dict[str, str]:
        """Return the connector's credential for the `names` in a body. Raise SpecError where the connection lacks a
        value.
        """
        ...


def open_store(provider: Provider, connection: Connection, job: Mapping[str, Any] | None = None) -> ProviderStore:
    """Open the vendor's store; no error or reason of the process shows the connection's keys from here on."""
    remember_connection(connection)
    found = store_class(provider)
    _say_where_unencrypted(str(connection.conn_id), found.base_url(connection, provider.BASE_URL))
    return found.opened(connection, provider.BASE_URL, job or {})


def open_store_of(
    provider: Provider,
    conn_id: str,
    job: Mapping[str, Any] | None = None,
    *,
    another: str = "in the spec's connections",
) -> ProviderStore:
    """Open the vendor's store by the connection's id, for a command. Raise SpecError where Airflow has no such
    connection; `another` says where its user would name another one.
    """
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        connection = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException as error:
        name = f"AIRFLOW_CONN_{conn_id.upper()}"
        raise SpecError(f"{error}; define it in the environment ({name}=…), or name another one {another}") from None
    return open_store(provider, connection, job)


@cache
def _say_where_unencrypted(conn_id: str, base_url: str) -> None:
    """Once a process."""
    address = urlsplit(base_url)
    if address.scheme == "http" and not is_loopback(address.hostname):
        log.warning(
            "connection %r: plain http to %s: whoever is on the way can read keys and rows, and change answers",
            conn_id,
            address.hostname,
        )


def store_class(provider: Provider) -> StoreClass:
    """Return the class at the provider's STORE path. The import may import the vendor's SDK.

    Raise SpecError where the path leads nowhere, and where members of StoreClass or ProviderStore are missing; the
    error names all.
    """
    origin = f"provider {provider.NAME!r}: STORE {provider.STORE!r}"
    module, _, name = provider.STORE.rpartition(".")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise SpecError(f"{origin} cannot be loaded: {type(error).__name__}: {error}") from error
    if lacks := missing(found, StoreClass, ProviderStore):
        raise SpecError(f"{origin} lacks {', '.join(lacks)}: opensearch_batch.providers.store has their meaning")
    return cast("StoreClass", found)
