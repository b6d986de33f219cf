"""The shape of a run's DAG: the tasks that it has besides those of every run, known when the file is parsed."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from opensearch_batch.errors import SpecError
from opensearch_batch.limit_section import LimitSection
from opensearch_batch.spec import BatchSpec
from opensearch_batch.submit.admission import pool_name
from opensearch_batch.tasks.ask_first import may_ask

MOST_ROUNDS = 3


class Shape(Struct, frozen=True, kw_only=True):
    """Whether a run has these tasks, and how many `rounds` of repair. Of a template both kinds of writing, `vectors`
    row by row and `chunks` document by document: the run's own spec says whether there are chunks.
    """

    rounds: int
    beside: bool
    vectors: bool
    reused: bool
    chunks: bool
    compares: bool
    stragglers: bool
    asks: bool


def shape_of(
    spec: BatchSpec | str,
    overrides: Any,
    *,
    repair_rounds: int | None,
    write_back: bool | Literal["beside"] | None,
    stragglers: bool | None,
) -> Shape:
    """None stands for what the spec says. Raise SpecError for more rounds than a DAG may have."""
    known = spec if isinstance(spec, BatchSpec) else None
    writes = _writes(known) if write_back is None else write_back
    vectors = bool(writes) and (known is None or known.input.chunks is None)
    return Shape(
        rounds=_rounds(known, repair_rounds),
        beside=writes == "beside",
        vectors=vectors,
        reused=vectors and (known is None or known.reuse is not None),
        chunks=bool(writes) and (known is None or known.input.chunks is not None),
        compares=bool(writes) and known is not None and known.parity is not None,
        stragglers=_finishes(known, overrides) if stragglers is None else stragglers,
        asks=may_ask(spec, overrides),
    )


def pool_of(spec: BatchSpec | str) -> str | None:
    """Return the pool of one slot that a spec's limits of what is in flight need."""
    if isinstance(spec, str) or (spec.limits.max_jobs_in_flight is None and spec.limits.max_enqueued_tokens is None):
        return None
    return pool_name(spec.registered_as)


def _writes(spec: BatchSpec | None) -> bool | Literal["beside"]:
    if spec is None or spec.write_back is None:
        return False
    return "beside" if spec.write_back.is_beside else True


def _finishes(spec: BatchSpec | None, overrides: Any) -> bool:
    if spec is None:
        return False
    return spec.wait.finish_by is not None or (isinstance(overrides, dict) and "wait.finish_by" in overrides)


def _rounds(spec: BatchSpec | None, given: int | None) -> int:
    limits = spec.limits if spec else LimitSection()
    rounds = limits.repair_rounds if given is None else given
    if not 0 <= rounds <= MOST_ROUNDS:
        raise SpecError(f"repair_rounds is {rounds}; a DAG may have 0 to {MOST_ROUNDS}")
    return rounds
