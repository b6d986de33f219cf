"""The pre- and post-process functions that search-time embedding with OpenAI's connector uses; others are refused."""

from __future__ import annotations

import json
from typing import Any

from sandbox.ml_commons_face.errors import illegal_argument, not_served

PRE_OPENAI = "connector.pre_process.openai.embedding"
POST_OPENAI = "connector.post_process.openai.embedding"


def before(name: str | None, text_docs: Any) -> dict[str, str]:
    """Parameters made from `text_docs`."""
    if name is None:
        raise illegal_argument("Must provide pre_process_function for predict action to process text docs input.")
    if name != PRE_OPENAI:
        raise not_served(f"the pre-process function {name}")
    return {"input": json.dumps(text_docs)}


def after(name: str | None, content: Any) -> list[dict[str, Any]]:
    """The `output` of an inference result."""
    if name is None:
        held = content if isinstance(content, dict) else {"response": content}
        return [{"name": "response", "dataAsMap": held}]
    if name != POST_OPENAI:
        raise not_served(f"the post-process function {name}")
    return [
        {
            "name": "sentence_embedding",
            "data_type": "FLOAT32",
            "shape": [len(row["embedding"])],
            "data": row["embedding"],
        }
        for row in content["data"]
    ]
