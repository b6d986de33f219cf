"""ProviderHook: the connection type batch_provider, its Test button, and the vendor's store for a task of one's own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from airflow.sdk import BaseHook

from opensearch_batch import providers
from opensearch_batch.errors import BatchError
from opensearch_batch.providers.store import open_store

if TYPE_CHECKING:
    from opensearch_batch.providers.store import ProviderStore


class ProviderHook(BaseHook):
    """A provider with one key: the connection's password. Its host is the base URL of a server other than the vendor's
    own; extra: `provider`, as in a spec's model.provider, and what the vendor's store reads.
    """

    conn_name_attr = "provider_conn_id"
    default_conn_name = providers.DEFAULT.CONNECTION
    conn_type = "batch_provider"
    hook_name = "Batch provider (API key)"

    def __init__(self, provider_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.provider_conn_id = provider_conn_id

    def get_conn(self) -> ProviderStore:
        """Raise SpecError for a provider that is not known, or a connection without a key."""
        connection = self.get_connection(self.provider_conn_id)
        name = connection.extra_dejson.get("provider") or providers.DEFAULT.NAME
        return open_store(providers.get(name), connection)

    def test_connection(self) -> tuple[bool, str]:
        """Airflow's Test button: the first page of the vendor's list of jobs, which costs nothing."""
        try:
            next(self.get_conn().recent_jobs(since=time.time()), None)
        except BatchError as error:
            return False, str(error)
        return True, "The provider takes the key and lists its batch jobs."
