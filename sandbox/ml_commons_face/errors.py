"""OpenSearch's error body, and the exceptions of ML Commons that the sandbox answers with.

Statuses and wordings are those of real servers, 2.19.6 and 3.6.0.
"""

from __future__ import annotations

from typing import Any


class OpenSearchError(Exception):
    """`cause` is a chain of (type, reason) pairs, outermost first; `detail` goes beside type and reason, as
    `cause_detail` does in the outermost cause.
    """

    def __init__(
        self,
        status: int,
        type: str,
        reason: str,
        *,
        cause: tuple[tuple[str, str], ...] = (),
        detail: dict[str, str] | None = None,
        cause_detail: dict[str, str] | None = None,
    ) -> None:
        super().__init__(reason)
        self.status, self.type, self.reason, self.cause = status, type, reason, cause
        self.detail, self.cause_detail = detail or {}, cause_detail or {}

    def to_dict(self) -> dict[str, Any]:
        head = {"type": self.type, "reason": self.reason, **self.detail}
        caused_by: dict[str, Any] = {}
        for type_, reason in reversed(self.cause):
            caused_by = {"caused_by": {"type": type_, "reason": reason, **caused_by}}
        if caused_by:
            caused_by["caused_by"] |= self.cause_detail
        # OpenSearch's own exceptions come to the top as the root cause, those of other libraries do not.
        known = caused_by.get("caused_by")
        root = known if known and known["type"] == "index_not_found_exception" else head
        return {"error": {"root_cause": [root], **head, **caused_by}, "status": self.status}


class NoHandler(OpenSearchError):
    """A route that this version does not have: the body differs from all other errors."""

    def __init__(self, path: str, method: str) -> None:
        super().__init__(400, "", f"no handler found for uri [{path}] and method [{method}]")

    def to_dict(self) -> dict[str, Any]:
        return {"error": self.reason}


def status_exception(status: int, reason: str) -> OpenSearchError:
    return OpenSearchError(status, "status_exception", reason)


def illegal_argument(reason: str, cause: tuple[tuple[str, str], ...] = ()) -> OpenSearchError:
    return OpenSearchError(400, "illegal_argument_exception", reason, cause=cause)


def not_served(what: str) -> OpenSearchError:
    return OpenSearchError(501, "unsupported_operation_exception", f"the sandbox does not serve {what}")


def batch_inference_is_off() -> OpenSearchError:
    reason = (
        "Offline Batch Inference is currently disabled. To enable it, update the setting "
        '"plugins.ml_commons.offline_batch_inference_enabled" to true.'
    )
    return OpenSearchError(500, "illegal_state_exception", reason)


def no_index(status: int, reason: str, index: str) -> OpenSearchError:
    missing = ("index_not_found_exception", f"no such index [{index}]")
    detail = {"index": index, "resource.id": index, "resource.type": "index_expression", "index_uuid": "_na_"}
    return OpenSearchError(status, "status_exception", reason, cause=(missing,), cause_detail=detail)
