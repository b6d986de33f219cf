"""Where bytes are: object storage for shards and results, and each vendor's own file store for what its jobs read and
write.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

from opensearch_batch.errors import SpecError

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from opensearch_batch.providers.protocol import Provider


class ProviderStore(Protocol):
    """A vendor's files and its own view of the jobs. Calls raise Terminal or Transient; reads are repeated inside."""

    def upload(self, uri: str, name: str, size_bytes: int) -> str:
        """Stream the object at `uri` into a file called `name`; return its id. Not repeated inside."""
        ...

    def find_uploads(self, prefix: str) -> dict[str, str]:
        """Ids of the files whose names begin with `prefix`, by name; of several with one name, the oldest."""
        ...

    def stored_bytes(self) -> int:
        """Of all files that lie at the vendor, whatever they are for."""
        ...

    def delete_file(self, file_id: str) -> bool:
        """False: there is no such file any more."""
        ...

    def find_jobs(self, input_file_id: str) -> list[dict[str, Any]]:
        """The provider's own documents of all jobs that read this file, oldest first."""
        ...

    def recent_jobs(self, since: float) -> Iterator[dict[str, Any]]:
        """The provider's own documents of all jobs made after `since` (epoch seconds), whoever submitted them, newest
        first; asks for no more pages than are read.
        """
        ...

    def recent_uploads(self, since: float) -> Iterator[dict[str, Any]]:
        """`id`, `filename`, `bytes` and `created_at` of the batch input files made after `since`, newest first."""
        ...

    def file_bytes(self, file_id: str) -> int | None:
        """None: the provider does not have the file any more."""
        ...

    def get_job(self, job_id: str) -> dict[str, Any]: ...

    def list_jobs(self, ids: Collection[str], most_pages: int, since: float | None) -> dict[str, dict[str, Any]]:
        """The provider's own documents of those of these jobs that its list shows, by id. The walk begins at the
        newest and ends with the last one found, after `most_pages`, or where jobs are older than `since` (epoch
        seconds).
        """
        ...

    def cancel_job(self, job_id: str) -> None: ...

    def lines(self, file_id: str) -> Iterator[bytes]:
        """The file's lines without their ends; a download that breaks off is taken up again, never cut short."""
        ...


def open_store(provider: Provider, connection: Connection) -> ProviderStore:
    """Raise SpecError when the connection has no key."""
    if not connection.password:
        raise SpecError(f"connection {connection.conn_id!r} has no password; put the provider's key there")
    module, name = provider.STORE.rsplit(".", 1)
    return cast(
        "ProviderStore",
        getattr(import_module(module), name)(base_url(connection, provider.BASE_URL), connection.password),
    )


def base_url(connection: Connection, default: str) -> str:
    """The connection's host: a base URL (with its /v1), or host and port of a server; none means the vendor's own."""
    host = (connection.host or "").rstrip("/")
    if not host:
        return default
    if "://" in host:
        return host
    port = f":{connection.port}" if connection.port else ""
    return f"{connection.schema or 'https'}://{host}{port}/v1"
