"""A vendor's refusal as an error of ours, by the HTTP status."""

from __future__ import annotations

from collections.abc import Container, Mapping

from opensearch_batch.errors import BatchError, Refused, Throttled, Unavailable
from opensearch_batch.retry_after import pause_seconds

PASSING = frozenset([408, 409])


def refusal(
    message: str,
    status: int,
    headers: Mapping[str, str],
    passing: Container[int] = PASSING,
    of_the_key: Container[int] = frozenset([401, 403]),
) -> BatchError:
    """Return Throttled for 429, Unavailable from 500 on and for `passing` statuses, else Refused.

    Where the status is `of_the_key` the message says where to mend the key.
    """
    if status == 429:
        return Throttled(message, status=status, retry_after_seconds=pause_seconds(headers))
    if status >= 500 or status in passing:
        return Unavailable(message, status=status, retry_after_seconds=pause_seconds(headers))
    advice = " Check the key in the provider's connection." if status in of_the_key else ""
    return Refused(message + advice, status=status)
