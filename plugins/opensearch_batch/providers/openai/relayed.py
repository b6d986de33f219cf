"""Failures that a compatible server relays from its model server, with the reason in the message alone."""

from __future__ import annotations

import re

from opensearch_batch.providers.passing import passes

RELAYED = "request_failed"
"""ogx 1.5.0's code for rows without an answer from the model server; the message has the reason, in the words of ogx's
SDK (https://github.com/openai/openai-python/blob/main/src/openai/_exceptions.py).
"""
RELAYED_STATUS = re.compile(r"Error code: (\d{3})\b")
UNANSWERED = ("Connection error.", "Request timed out.")


def relayed_passes(message: str) -> bool:
    told = RELAYED_STATUS.match(message)
    return message in UNANSWERED or (told is not None and passes(told[1]))
