"""Images beside a row's text, as chat completions and responses take both: parts of the content of one message.

The parts: types/chat/chat_completion_content_part_image_param.py and types/responses/response_input_image_param.py of
the openai SDK. Limits: https://developers.openai.com/api/docs/guides/images-vision. The vendor fetches each URL itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from opensearch_batch.errors import SpecError

CHAT = "/v1/chat/completions"
RESPONSES = "/v1/responses"
MOST = 1500
"""And 512 MB a request, which no input file of a batch reaches."""
DETAILS = ("auto", "low", "high", "original")
SLOW = "Timeout while downloading "
"""How a row's message begins whose image did not come in time; the code is that of a wrong value, and the same image
may come later: https://github.com/vercel/ai/issues/8857, https://github.com/riverscuomo/cuomputer/issues/95.
"""
IMAGE_PARTS = ("image_url", "input_image")


def images_a_request(model: str, endpoint: str, detail: str | None) -> int:
    if endpoint not in (CHAT, RESPONSES):
        raise SpecError(f"input.images: {endpoint} takes texts alone; {CHAT} and {RESPONSES} take images by URL")
    if detail is not None and detail not in DETAILS:
        raise SpecError(f"input.images.detail {detail!r} is not one of {', '.join(DETAILS)}")
    return MOST


def with_images(line: Mapping[str, Any], urls: Sequence[str], detail: str | None) -> dict[str, Any]:
    body = line["body"]
    if line["url"] == CHAT:
        *before, last = body["messages"]
        parts = [{"type": "text", "text": last["content"]}, *(_of_chat(url, detail) for url in urls)]
        return {**line, "body": {**body, "messages": [*before, {**last, "content": parts}]}}
    parts = [{"type": "input_text", "text": body["input"]}, *(_of_response(url, detail) for url in urls)]
    return {**line, "body": {**body, "input": [{"role": "user", "content": parts}]}}


def texts(line: Mapping[str, Any]) -> list[str]:
    """Of a message with images the text alone."""
    body = line["body"]
    content = body["messages"][-1]["content"] if "messages" in body else body["input"]
    if isinstance(content, str):
        return [content]
    if content and isinstance(content[0], dict) and "role" in content[0]:
        content = content[0]["content"]
    return [part["text"] if isinstance(part, dict) else part for part in content if not _is_image(part)]


def was_slow(message: str) -> bool:
    """Whether a row failed because its image did not come in time."""
    return message.startswith(SLOW)


def _is_image(part: Any) -> bool:
    return isinstance(part, dict) and part["type"] in IMAGE_PARTS


def _of_chat(url: str, detail: str | None) -> dict[str, Any]:
    closely = {} if detail is None else {"detail": detail}
    return {"type": "image_url", "image_url": {"url": url, **closely}}


def _of_response(url: str, detail: str | None) -> dict[str, Any]:
    """`detail` may not be left out here."""
    return {"type": "input_image", "image_url": url, "detail": detail or "auto"}
