"""Deletions forgotten, or kept: a node keeps the version of a deleted document, and refuses writes that come later with
a lower one.
"""

from __future__ import annotations

import time

from opensearch_batch.cluster import documents, indices
from opensearch_batch.cluster.described import About, Send
from opensearch_batch.dotted import value_at

GC_DELETES = "gc_deletes"
"""For so long: https://docs.opensearch.org/latest/install-and-configure/configuring-opensearch/index-settings/"""
CLOCK_SECONDS = 0.5
"""A node reads the clock five times a second for this (`thread_pool.estimated_time_interval`)."""
UNTIL_THE_END = "1h"
"""While a move has not ended. The server's own minute is over before Airflow finds that a worker is lost."""


def forget_deletions(send: Send, index: str) -> None:
    """Forget the deletions that were carried into an index, while nobody else writes to it. The index then keeps none,
    until `keep_deletions`.

    A document that was carried as deleted, and is made again in the other index at the last moment, would be taken for
    one that was deleted after the move, and lost.
    """
    keep_deletions(send, index, "0ms")
    time.sleep(CLOCK_SECONDS)
    send(documents.refresh(index))


def keep_deletions(send: Send, index: str, how_long: str | None) -> None:
    """None is the server's default."""
    send(indices.set_index(index, {f"index.{GC_DELETES}": how_long}))


def kept_deletions(about: About) -> str | None:
    """For how long an index keeps them by its settings."""
    found: str | None = value_at(about["settings"]["index"], GC_DELETES)
    return found
