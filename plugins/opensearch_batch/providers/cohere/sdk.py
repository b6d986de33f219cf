"""Cohere's SDK: its documents as plain values, its errors as ours."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from opensearch_batch.errors import BatchError, Unavailable
from opensearch_batch.providers.refusals import PASSING, refusal
from opensearch_batch.providers.shape import count, epoch_seconds, from_sdk, inner, text, words

T = TypeVar("T")


def plain_of(model: Any) -> dict[str, Any]:
    """Return a document as the cluster would, but with times as epoch seconds."""
    found: dict[str, Any] = model if isinstance(model, dict) else model.dict()
    return {key: value.timestamp() if isinstance(value, datetime) else value for key, value in found.items()}


def size_of(dataset: dict[str, Any]) -> int:
    parts = dataset.get("dataset_parts")
    return sum(count(inner(part, "size_bytes")) for part in parts) if isinstance(parts, list) else 0


def name_of(dataset: dict[str, Any]) -> str:
    return text(dataset.get("name")) or ""


def time_of(document: dict[str, Any]) -> float:
    """0 where the vendor does not say."""
    return epoch_seconds(document.get("created_at")) or 0.0


def through_sdk(ask: Callable[[], T], what: str) -> T:
    """Translate the SDK's errors into ours."""
    import httpx
    from cohere.core.api_error import ApiError

    def translated(error: Exception) -> BatchError | None:
        if isinstance(error, ApiError):
            return _refusal(what, error)
        if isinstance(error, httpx.HTTPError):
            said = f"{type(error).__name__}: {error}"
            return Unavailable(f"{what}: no answer from the provider ({said}). Is the connection's host right?")
        return None

    return from_sdk(ask, what, translated)


def _refusal(what: str, error: Any) -> BatchError:
    """Below 400 the answer was no JSON."""
    status = error.status_code or 0
    message = f"{what}: HTTP {status}: {(words(error.body) or 'no reason given')[:600].rstrip('. ')}."
    return refusal(message, status, error.headers or {}, {*PASSING, 499, *range(400)}, of_the_key=(401, 403, 498))
