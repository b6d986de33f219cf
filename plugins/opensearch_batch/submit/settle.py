"""The settle time: how long a submission without an answer may still become a job."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opensearch_batch.cluster import ml_commons
from opensearch_batch.cluster.ml_commons import Call
from opensearch_batch.errors import BatchError

LIST_LAG_SECONDS = 900.0
"""Seconds that a provider's list of jobs may lag; a guess on the safe side, not a published figure."""

LONG_SETTLE_SECONDS = 3600.0
"""Seconds to look where the connector does not say how long the cluster waits, or says more."""


def settle_seconds_of(send: Callable[[Call], Any], model_id: str) -> float:
    """Return the seconds after which an absent job was not submitted: the connector's time-outs, the list lag, and the
    way of a submission round the nodes.
    """
    try:
        config = connector_of(send, model_id).get("client_config") or {}
        waits = float(config["connection_timeout"]) + float(config["read_timeout"]) + ml_commons.REPEAT_SECONDS
    except (BatchError, KeyError):
        return LONG_SETTLE_SECONDS
    return min(waits + LIST_LAG_SECONDS, LONG_SETTLE_SECONDS)


def connector_of(send: Callable[[Call], Any], model_id: str) -> dict[str, Any]:
    connector: dict[str, Any] = send(ml_commons.get_connector(send(ml_commons.get_model(model_id))["connector_id"]))
    return connector
