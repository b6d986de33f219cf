"""A model that is registered already, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opensearch_batch.cluster import ml_commons
from opensearch_batch.cluster.ml_commons import Call
from opensearch_batch.cluster.registration import models_of


def find_model(send: Callable[[Call], Any], name: str) -> str | None:
    """Return the id of the oldest model of this name on a connector of this name; None where there is none."""
    connectors = [hit.id for hit in send(ml_commons.search_connectors(name)) if hit.source.get("name") == name]
    models = [hit for each in connectors for hit in models_of(send, each) if hit.source.get("name") == name]
    return min(models, key=lambda hit: (hit.source.get("created_time", 0), hit.id)).id if models else None
