"""The refusals of indices and documents, with statuses and wordings of real servers, 2.19.6 and 3.6.0."""

from __future__ import annotations

from typing import Any

from sandbox.ml_commons_face.errors import OpenSearchError, not_served

__all__ = ["Problem", "not_served"]


class Problem(OpenSearchError):
    """`more` stands beside type and reason, `caused_by` below them; `roots` where the root cause is another than it."""

    def __init__(
        self,
        status: int,
        type: str,
        reason: str | None,
        more: dict[str, Any] | None = None,
        caused_by: dict[str, Any] | None = None,
        roots: list[dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(status, type, reason or "")
        self.head: dict[str, Any] = {"type": type, "reason": reason}
        self.more, self.caused_by, self.roots = more or {}, caused_by, roots

    def inner(self) -> dict[str, Any]:
        """As it stands in an item of a bulk answer, and in a failed shard."""
        below = {"caused_by": self.caused_by} if self.caused_by else {}
        return {**self.head, **self.more, **below}

    def to_dict(self) -> dict[str, Any]:
        roots = [{**self.head, **self.more}] if self.roots is None else self.roots
        return {"error": {"root_cause": roots, **self.inner()}, "status": self.status}


def illegal_argument(reason: str, caused_by: dict[str, Any] | None = None) -> Problem:
    return Problem(400, "illegal_argument_exception", reason, caused_by=caused_by)


def invalid_request(*reasons: str) -> Problem:
    """Of a request that is refused whole, before anything of it is done."""
    numbered = "".join(f" {number}: {reason};" for number, reason in enumerate(reasons, 1))
    return Problem(400, "action_request_validation_exception", f"Validation Failed:{numbered}")


class Malformed(Problem):
    """Of a search that no shard is asked for."""


def parsing(reason: str) -> Malformed:
    return Malformed(400, "parsing_exception", reason)


def malformed(reason: str) -> Malformed:
    return Malformed(400, "illegal_argument_exception", reason)


def no_such_index(name: str, resource: str = "index_or_alias") -> Problem:
    more = {"index": name, "resource.id": name, "resource.type": resource, "index_uuid": "_na_"}
    return Problem(404, "index_not_found_exception", f"no such index [{name}]", more)


def not_an_alias(name: str) -> Problem:
    reason = f"no such index [{name}] and [require_alias] request flag is [true] and [{name}] is not an alias"
    return Problem(404, "index_not_found_exception", reason, {"index": name, "index_uuid": "_na_"})


def unparsable(reason: str, caused_by: dict[str, Any] | None = None) -> Problem:
    return Problem(400, "mapper_parsing_exception", reason, caused_by=caused_by)


def conflict(id: str, reason: str, index: str, uuid: str, shard: int) -> Problem:
    more = {"index": index, "shard": str(shard), "index_uuid": uuid}
    return Problem(409, "version_conflict_engine_exception", f"[{id}]: version conflict, {reason}", more)


def document_missing(id: str, index: str, uuid: str, shard: int) -> Problem:
    more = {"index": index, "shard": str(shard), "index_uuid": uuid}
    return Problem(404, "document_missing_exception", f"[{id}]: document missing", more)


def routing_missing(index: str, id: str) -> Problem:
    more = {"index": index, "index_uuid": "_na_"}
    return Problem(400, "routing_missing_exception", f"routing is required for [{index}]/[{id}]", more)


def closed(index: str, uuid: str) -> Problem:
    return Problem(400, "index_closed_exception", "closed", {"index": index, "index_uuid": uuid})
