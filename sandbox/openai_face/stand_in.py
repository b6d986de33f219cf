"""Chat and responses without a model: the right shape around a text that says it is a stand-in, or around an object
that fits the request's schema.
"""

from __future__ import annotations

import json
import time
from typing import Any

from sandbox.fitting import fitting
from sandbox.ids import derived
from sandbox.openai_face.errors import OpenAIError, missing, no_such_model
from sandbox.openai_face.formats import schema_in
from sandbox.openai_face.parts import said_in

MODELS = ("gpt-4o-mini", "gpt-4o", "gpt-4.1", "gpt-4.1-mini", "gpt-4.1-nano", "gpt-5", "gpt-5-mini", "gpt-5-nano")
QUOTED_CHARACTERS = 200


def answer(endpoint: str, body: dict[str, Any]) -> tuple[dict[str, Any], int, int]:
    """The body of the answer, and input and output tokens (words, counted roughly). Raises OpenAIError."""
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise missing("model")
    if model not in MODELS:
        raise no_such_model(model)
    chat = endpoint == "/v1/chat/completions"
    name = "messages" if chat else "input"
    if name not in body:
        raise missing(name)
    asked = _asked(body[name], name, chat=chat)
    text = f"[sandbox stand-in: no model was asked] The request ended with: {asked[:QUOTED_CHARACTERS]}"
    wanted = _format(body)
    if wanted.get("type") == "json_object":
        text = json.dumps({"sandbox_stand_in": text})
    elif wanted.get("type") == "json_schema":
        text = _object(schema_in(wanted, chat), asked)
    id_ = derived(endpoint, json.dumps(body, sort_keys=True))
    input_tokens, output_tokens = len(json.dumps(body[name]).split()), len(text.split())
    make = _completion if chat else _response
    return make(id_, model, text, input_tokens, output_tokens), input_tokens, output_tokens


def _object(schema: dict[str, Any], asked: str) -> str:
    try:
        return json.dumps(fitting(schema, asked), ensure_ascii=False)
    except ValueError as error:
        raise OpenAIError(400, str(error), code="not_served_by_the_sandbox") from None


def _asked(given: object, name: str, *, chat: bool) -> str:
    """The text of the last message, with its images. Every message is read, and refused where it is malformed."""
    if isinstance(given, str) and name == "input":
        return given
    if not isinstance(given, list) or not given or not all(isinstance(item, dict) for item in given):
        message = f"Invalid type for '{name}': expected an array of objects, but got {type(given).__name__} instead."
        raise OpenAIError(400, message, param=name, code="invalid_type")
    return [_said(item, f"{name}[{number}]", chat) for number, item in enumerate(given)][-1]


def _said(item: dict[str, Any], at: str, chat: bool) -> str:
    content = item.get("content")
    if isinstance(content, list):
        return said_in(content, f"{at}.content", item.get("role"), chat=chat)
    return str(content or "")


def _format(body: dict[str, Any]) -> dict[str, Any]:
    """The wanted format of the answer, as a chat or a response names one."""
    text = body.get("text")
    wanted = body.get("response_format") or (text.get("format") if isinstance(text, dict) else None)
    return wanted if isinstance(wanted, dict) else {}


def _completion(id_: str, model: str, text: str, input_tokens: int, output_tokens: int) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None, "annotations": []}
    return {
        "id": f"chatcmpl-{id_}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": input_tokens,
            "completion_tokens": output_tokens,
            "total_tokens": input_tokens + output_tokens,
        },
        "service_tier": "default",
        "system_fingerprint": None,
    }


def _response(id_: str, model: str, text: str, input_tokens: int, output_tokens: int) -> dict[str, Any]:
    content = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    message = {
        "id": f"msg_{id_}",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [content],
    }
    return {
        "id": f"resp_{id_}",
        "object": "response",
        "created_at": int(time.time()),
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": model,
        "output": [message],
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": {
            "input_tokens": input_tokens,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": output_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": input_tokens + output_tokens,
        },
    }
