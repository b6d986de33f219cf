"""Deletions forgotten: a node keeps the version of a deleted document, and refuses writes that come later with a lower
one.
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


def forget_deletions(send: Send, index: str, like: About) -> None:
    """Forget the deletions that were carried into an index, while nobody else writes to it.

    A document that was carried as deleted, and is made again in the other index at the last moment, would be taken for
    one that was deleted after the move, and lost. Afterwards the setting is that of the index `like` whose place this
    one takes, so a try that was killed in between leaves nothing to be known.
    """
    send(indices.set_index(index, {f"index.{GC_DELETES}": "0ms"}))
    time.sleep(CLOCK_SECONDS)
    send(documents.refresh(index))
    send(indices.set_index(index, {f"index.{GC_DELETES}": value_at(like["settings"]["index"], GC_DELETES)}))
