"""Searches some or all of whose shards failed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from sandbox.index_face.errors import Problem
from sandbox.ml_commons_face.documents import NODE_ID

if TYPE_CHECKING:
    from sandbox.index_face.targets import Target

# Exceptions of Java's own: the server wraps them once more.
WRAPPED = frozenset({"illegal_argument_exception", "unsupported_operation_exception", "rejected_execution_exception"})


@dataclass(frozen=True)
class Failure:
    """`node` is None where no copy of the shard was there to ask."""

    index: str
    shard: int
    problem: Problem
    node: str | None = NODE_ID

    @classmethod
    def of(cls, target: Target, problem: Problem) -> Self:
        return cls(target.index.name, target.number, problem)

    def to_dict(self) -> dict[str, Any]:
        return {"shard": self.shard, "index": self.index, "node": self.node, "reason": self.problem.inner()}


def grouped(failures: list[Failure]) -> list[Failure]:
    """One for each index and reason."""
    found: dict[tuple[str, str, str], Failure] = {}
    for failure in failures:
        found.setdefault((failure.index, failure.problem.type, failure.problem.reason), failure)
    return list(found.values())


def all_failed(failures: list[Failure], phase: str, reason: str = "all shards failed") -> Problem:
    shown = grouped(failures)
    roots = [{**failure.problem.head, **failure.problem.more} for failure in shown]
    first = shown[0].problem
    caused_by = first.inner()
    if first.type in WRAPPED and "caused_by" not in caused_by:
        caused_by = {**caused_by, "caused_by": dict(caused_by)}
    more = {"phase": phase, "grouped": True, "failed_shards": [failure.to_dict() for failure in shown]}
    return Problem(first.status, "search_phase_execution_exception", reason, more, caused_by, roots)


def shard_is_gone(target: Target) -> Failure:
    """No copy of it is there to be asked."""
    more = {"index": target.index.name, "shard": str(target.number), "index_uuid": target.index.uuid}
    problem = Problem(503, "no_shard_available_action_exception", None, more)
    return Failure(target.index.name, target.number, problem, None)


def search_rejected(gone: list[Failure]) -> Problem:
    """Where a partial answer was not allowed."""
    names = ", ".join(f"[{failure.index}][{failure.shard}]" for failure in gone)
    words = f"Search rejected due to missing shards [{names}]. Consider using `allow_partial_search_results` setting to"
    more = {"phase": "query", "grouped": True, "failed_shards": []}
    type_ = "search_phase_execution_exception"
    caused_by = {"type": type_, "reason": f"{words} bypass this error.", **more}
    return Problem(503, type_, "", more, caused_by, [])
