"""Pages of a list of jobs; the token says where the next one begins."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

from sandbox.aws_face.caller import AWSError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.aws_face.jobs import Document


def newest_first(found: list[Document], order: Callable[[Document], Any], *, ascending: bool) -> list[Document]:
    """Sorted by `order`, downwards unless told otherwise; equal ones by age in the same direction."""
    by_order = sorted(found, key=order)
    return by_order if ascending else by_order[::-1]


def page(found: list[Document], token: str | None, most: int) -> tuple[list[Document], str | None]:
    """Raises AWSError (400) for a token that this list did not give."""
    begin = 0
    if token:
        try:
            begin = int(base64.b64decode(token, validate=True))
        except (binascii.Error, ValueError):
            raise AWSError(400, "ValidationException", "The provided token is invalid.") from None
    end = begin + most
    return found[begin:end], base64.b64encode(str(end).encode()).decode() if end < len(found) else None
