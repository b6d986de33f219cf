"""A connector's request_body: fixed members beside the ${parameters.…}, or a whole row of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson


def members(values: Mapping[str, Any]) -> str:
    """Return the members as text, in the order of names, for the end of a body."""
    return "".join(f", {_json(key)}: {_json(value)}" for key, value in sorted(values.items()))


ROW = "online_body"
"""The connector's parameter in whose place a `_predict` gives the body of a row."""


def taking_rows(connector: Mapping[str, Any]) -> dict[str, Any]:
    """Return the connector's body with a predict action that takes a row of a batch whole, as the parameter ROW, and
    gives the vendor's answer back as it came. Without ROW the action sends what it would have sent: placeholders in a
    parameter's value are filled in too (commons-text's StringSubstitutor).
    """
    actions = [dict(action) for action in connector["actions"]]
    (predict,) = (action for action in actions if action["action_type"] == "predict")
    default = predict["request_body"]
    for function in ("pre_process_function", "post_process_function"):
        predict.pop(function, None)
    predict["request_body"] = f"${{parameters.{ROW}}}"
    return {**connector, "parameters": {**connector["parameters"], ROW: default}, "actions": actions}


def row_parameters(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the `parameters` of a `_predict` for `taking_rows`. As text: of an object 2.19.6 leaves out nulls."""
    return {ROW: _json(body)}


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
