"""What passes: failures of a row, or of a whole job, that may be answered when sent again. One table for all vendors.

Codes and statuses not in the table are for good: what nobody looked at is not paid for twice. Sources: OpenAI's
https://platform.openai.com/docs/guides/error-codes and the statuses repeated by OpenAI's own SDK
(https://github.com/openai/openai-python#retries); AWS's
https://docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes.html and
https://docs.aws.amazon.com/sagemaker/latest/dg/batch-transform-errors.html; lines of gateways and self-hosted servers.
"""

from __future__ import annotations

from opensearch_batch.providers.shape import number

CODES = frozenset(
    [
        "batch_expired",
        "batch_cancelled",
        "batch_failed",
        "rate_limit_exceeded",
        "token_limit_exceeded",
        "request_timeout",
        "server_error",
        "internal_error",
        "internal_server_error",
        "service_unavailable",
        "overloaded_error",
        "InternalServerError",
        "InternalServerException",
        "CapacityError",
        "ServiceUnavailableException",
        "ThrottlingException",
        "ModelTimeoutException",
        "ModelNotReadyException",
    ]
)

STATUSES = frozenset([0, 408, 409, 424, 425, 429])
"""And all from 500 to 599; a greater number is a vendor's own code. 0: the server had no answer from the model; 424:
the model failed (Bedrock).
"""

FOR_GOOD = frozenset(["insufficient_quota", "billing_hard_limit_reached"])
"""Told with a status that passes, but only a person can end them."""


def passes(code: str, status: object = None) -> bool:
    """`code` may be a status, and either may come as text."""
    if code in FOR_GOOD:
        return False
    told = [found for each in (code, status) if (found := number(each)) is not None]
    return code in CODES or any(each in STATUSES or 500 <= each < 600 for each in told)
