"""Images by URL, which no model of Bedrock takes.

https://platform.claude.com/docs/en/build-with-claude/vision has base64 alone for Amazon Bedrock, and
https://docs.aws.amazon.com/nova/latest/userguide/modalities-image-examples.html bytes, as base64.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from opensearch_batch.errors import SpecError


def images_a_request(model: str, endpoint: str, detail: str | None) -> int:
    raise SpecError(
        "input.images: records of Bedrock take no image by URL. Its models take images as base64, which this package "
        "does not make"
    )


def with_images(line: Mapping[str, Any], urls: Sequence[str], detail: str | None) -> dict[str, Any]:
    raise NotImplementedError("a record has one text")
