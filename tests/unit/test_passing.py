"""Reasons of failed rows, wherever a vendor puts them: the words are kept, and one table says what passes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from opensearch_batch.providers.bedrock import provider as bedrock
from opensearch_batch.providers.openai import provider as openai
from opensearch_batch.providers.passing import passes
from opensearch_batch.providers.sagemaker import provider as sagemaker


def refused(vendor: Any, error: Any) -> dict[str, Any]:
    """A row without an answer, as the vendor's files have it."""
    return {
        "openai": {"custom_id": "a", "response": None, "error": error},
        "bedrock": {"recordId": bedrock.record_id("a"), "error": error},
        "sagemaker": {"id": "a", "SageMakerOutput": {"error": error}},
    }[vendor.NAME]


@pytest.mark.parametrize("vendor", [openai, bedrock, sagemaker], ids=lambda vendor: vendor.NAME)
@pytest.mark.parametrize(
    ("error", "code", "message", "passing"),
    [
        ({"code": 500, "message": "The model broke."}, "500", "The model broke.", True),
        ({"code": "503", "message": "Busy."}, "503", "Busy.", True),
        ({"code": "request_timeout", "message": "Late."}, "request_timeout", "Late.", True),
        ({"code": "batch_failed", "message": "Gone."}, "batch_failed", "Gone.", True),
        ({"error": {"code": "too_long", "message": "Too long."}}, "too_long", "Too long.", False),
        ({"error": {"error": {"code": 400, "message": "Bad."}}}, "400", "Bad.", False),
    ],
)
def test_a_reason_keeps_its_words_and_passes_by_its_code(
    vendor: Any, error: Any, code: str, message: str, passing: bool
) -> None:
    answer = vendor.read_line(json.dumps(refused(vendor, error)).encode())
    assert (answer.code, answer.message, answer.passing) == (code, message, passing)


@pytest.mark.parametrize("vendor", [openai, bedrock, sagemaker], ids=lambda vendor: vendor.NAME)
def test_a_text_as_reason_is_final_and_keeps_its_words(vendor: Any) -> None:
    answer = vendor.read_line(json.dumps(refused(vendor, "Too long.")).encode())
    assert (answer.answered, answer.message, answer.passing) == (False, "Too long.", False)


@pytest.mark.parametrize(
    ("code", "status", "passing"),
    [
        ("", 0, True),
        ("", "429", True),
        ("424", None, True),
        ("ThrottlingException", None, True),
        ("599", None, True),
        ("1301", 503, True),
        ("insufficient_quota", 429, False),
        ("", 400, False),
        ("nobody knows", None, False),
        ("1301", 400, False),
        ("20015", None, False),
    ],
)
def test_codes_and_statuses_not_in_the_table_are_final(code: str, status: object, passing: bool) -> None:
    assert passes(code, status) is passing
