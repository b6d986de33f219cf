"""Codes and statuses of failed rows at OpenAI and compatible servers: passing, or final."""

from __future__ import annotations

import re

PASSING = frozenset(
    [
        "batch_expired",
        "batch_cancelled",
        "rate_limit_exceeded",
        "token_limit_exceeded",
        "server_error",
        "internal_error",
    ]
)
PASSING_STATUSES = frozenset([408, 409, 429])
"""And all from 500 on: the vendor's own SDK repeats the same (https://github.com/openai/openai-python#retries)."""

FOR_GOOD = frozenset(["insufficient_quota", "billing_hard_limit_reached"])
"""Sent with a passing status, but only a person can help
(https://platform.openai.com/docs/guides/error-codes)."""

RELAYED = "request_failed"
"""ogx 1.5.0's code for rows without an answer from the model server; the message has the reason, in the words of ogx's
SDK (https://github.com/openai/openai-python/blob/main/src/openai/_exceptions.py).
"""
RELAYED_STATUS = re.compile(r"Error code: (\d{3})\b")
UNANSWERED = ("Connection error.", "Request timed out.")


def passes(code: str, status: int | None = None) -> bool:
    """Unknown codes and statuses are final: a row is paid for again only for a reason known to pass."""
    if code in FOR_GOOD:
        return False
    return code in PASSING or (isinstance(status, int) and (status in PASSING_STATUSES or status >= 500))


def relayed_passes(message: str) -> bool:
    told = RELAYED_STATUS.match(message)
    return message in UNANSWERED or (told is not None and passes("", int(told[1])))
