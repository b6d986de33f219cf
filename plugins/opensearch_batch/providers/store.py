"""Where bytes are: object storage for shards and results, and each vendor's own file store for what its jobs read and
write.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

from opensearch_batch.errors import SpecError
from opensearch_batch.providers.contract import missing

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from opensearch_batch.flow.answers import Usage
    from opensearch_batch.flow.jobs import Outcome
    from opensearch_batch.flow.shards import Shard
    from opensearch_batch.providers.protocol import Provider


class ProviderStore(Protocol):
    """A vendor's files and its own view of the jobs. Calls raise Terminal or Transient; reads are repeated inside."""

    def upload(self, shard: Shard, name: str) -> str:
        """Stream the shard's object into an input file called `name`; return its id. Not repeated inside.

        A broken one is not found under this name afterwards.
        """
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

    def get_job(self, job_id: str) -> dict[str, Any]:
        """The provider's own document; of a job that ended it tells `read_job` whether there are answers."""
        ...

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

    def answers(self, outcome: Outcome) -> Iterator[bytes]:
        """Of all outputs of an ended job, the lines that the provider's `read_line` reads, answers before reasons."""
        ...

    def usage(self, outcome: Outcome) -> Usage | None:
        """What the vendor says of the whole job beside its answers; None where the job or its answers tell all."""
        ...


class StoreClass(Protocol):
    """What a vendor takes from an Airflow connection. Classmethods of its ProviderStore."""

    def opened(self, connection: Connection, default_url: str, job: Mapping[str, Any]) -> ProviderStore:
        """Raise SpecError when the connection, or `job` (a spec's `model.job`), lacks what a call needs."""
        ...

    def base_url(self, connection: Connection, default_url: str) -> str:
        """Of the server to talk to; `default_url` for the vendor's own."""
        ...

    def settings(self, connection: Connection) -> dict[str, Any]:
        """What of `job` the connection knows."""
        ...

    def credential(self, names: Mapping[str, Any], connection: Connection) -> dict[str, str]:
        """The connector's. `names` as a body prints them; SpecError where the connection lacks one."""
        ...


def open_store(provider: Provider, connection: Connection, job: Mapping[str, Any] | None = None) -> ProviderStore:
    return store_class(provider).opened(connection, provider.BASE_URL, job or {})


def store_class(provider: Provider) -> StoreClass:
    """The class at the provider's STORE path. Imports the vendor's SDK, or nothing: that is up to the vendor's file.

    Raise SpecError where the path leads nowhere, and for each member of StoreClass and ProviderStore that is missing.
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
