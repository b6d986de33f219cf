"""The model's connector: whether its predict action takes a row whole, or would ask without prompt and schema."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from opensearch_batch.cluster.ml_commons import get_connector, get_model
from opensearch_batch.cluster.online import Send
from opensearch_batch.errors import Refused
from opensearch_batch.providers.request_body import ROW

log = logging.getLogger(__name__)

WHAT_TO_DO = (
    f"its connector's predict action has no ${{parameters.{ROW}}}, and would ask without the system prompt, schema and "
    "parameters of the batch: none was asked. Say model.on_change: redeploy in the spec and clear create_connector, or "
    "register under another name"
)


def why_not_whole(send: Send, model_id: str) -> str:
    """Why rows cannot be asked as their batch asks; empty where they can, and where the user may not read it: then the
    cluster refuses a row with placeholders that nothing fills in.
    """
    try:
        model = send(get_model(model_id))
        connector = model.get("connector") or send(get_connector(str(model.get("connector_id"))))
    except Refused as error:
        log.warning("the connector of model %s cannot be read: %s", model_id, error)
        return ""
    return "" if f"${{parameters.{ROW}}}" in _predict_body(connector) else f"model {model_id}: {WHAT_TO_DO}"


def _predict_body(connector: Mapping[str, Any]) -> str:
    bodies = [
        action.get("request_body")
        for action in connector.get("actions") or ()
        if str(action.get("action_type")).lower() == "predict"
    ]
    return str(next(iter(bodies), "") or "")
