"""What the cluster tells of an index or an alias, where it may be absent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from opensearch_batch.cluster.documents import describe_indices
from opensearch_batch.cluster.ml_commons import Call
from opensearch_batch.errors import BatchError

NOT_FOUND = 404
RESULT_WINDOW = 10_000
"""Of an index whose settings say nothing."""

Send = Callable[[Call], Any]
About = Mapping[str, Any]
"""Aliases, mappings and settings of an index."""


def described(send: Send, name: str, states: str = "") -> dict[str, About]:
    """Describe each index of a name by its own name; empty where there is none. Raise BatchError for any other refusal.
    `states` are of the indices that a pattern stands for, e.g. "closed,hidden"; default: open ones that are not hidden.

    Example: of an alias `articles` {"articles-1": {"aliases": …, "mappings": …, "settings": …}}.
    """
    try:
        found: dict[str, About] = send(describe_indices(name, states))
    except BatchError as error:
        if error.status != NOT_FOUND:
            raise
        return {}
    return found


def mapping_limit(about: About, name: str) -> int | None:
    """Return a limit as the index's settings state it, e.g. of "nested_objects"; None for the server's default."""
    limit = about["settings"]["index"].get("mapping", {}).get(name, {}).get("limit")
    return None if limit is None else int(limit)


def result_window(about: About) -> int:
    """Return how many hits a search of an index answers with at most."""
    return int(about["settings"]["index"].get("max_result_window", RESULT_WINDOW))
