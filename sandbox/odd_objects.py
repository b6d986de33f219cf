"""Texts in the results of a job that should be objects of a schema, and are not: as models write them on a bad day."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

OBJECT_SHAPES = ("misfit", "no_json", "fenced", "long", "refusal")
LONG_CHARACTERS = 1 << 20
REFUSAL = "I'm sorry, I cannot assist with that request."
TEXTS: dict[str, Callable[[str], str]] = {
    "misfit": lambda text: json.dumps({"unasked": True}),
    "no_json": lambda text: "Certainly! The label is the first of the three.",
    "fenced": lambda text: f"```json\n{text}\n```",
    "long": lambda text: json.dumps("x" * LONG_CHARACTERS),
    "refusal": lambda text: REFUSAL,
}


def with_objects(said: Any, shape: str) -> Any:
    """The text of a chat, of a response, of Claude, of Nova or of a container, in another shape. Only chats and
    responses have a place of their own for a refusal.
    """
    if isinstance(said, list):
        return [with_objects(each, shape) for each in said]
    if not isinstance(said, dict):
        return said
    if shape == "refusal" and said.get("role") == "assistant" and isinstance(said.get("content"), str):
        return {**said, "content": None, "refusal": REFUSAL}
    if shape == "refusal" and said.get("type") == "output_text":
        return {"type": "refusal", "refusal": REFUSAL}
    return {name: _inner(said, name, value, shape) for name, value in said.items()}


def _inner(said: dict[str, Any], name: str, value: Any, shape: str) -> Any:
    is_text = name in ("text", "generated_text") or (name == "content" and said.get("role") == "assistant")
    if name == "modelInput":
        return value
    return TEXTS[shape](value) if is_text and isinstance(value, str) else with_objects(value, shape)
