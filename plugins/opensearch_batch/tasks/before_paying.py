"""Before paying: what a run needs later and can be known at once. Each check raises the error that says what to do."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from typing import Any

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from opensearch_batch.errors import SpecError
from opensearch_batch.prepare.libraries import require_libraries
from opensearch_batch.prepare.parameters import unknown_parameters
from opensearch_batch.prepare.prices import known_straggler_tariff
from opensearch_batch.spec import BatchSpec
from opensearch_batch.storage import try_writing
from opensearch_batch.submit.admission import pool_command, pool_name
from opensearch_batch.tasks.approve import ApprovePlanOperator
from opensearch_batch.tasks.beside import NO_NEW_INDEX, SwapAliasOperator
from opensearch_batch.tasks.check_parity import CheckParityOperator
from opensearch_batch.tasks.stragglers import AnswerStragglersOperator
from opensearch_batch.tasks.submit import SubmitBatchOperator
from opensearch_batch.tasks.turns import SubmitRules, limits_of
from opensearch_batch.tasks.write_back import WriteBackOperator
from opensearch_batch.tasks.write_chunks import WriteChunksOperator

log = logging.getLogger(__name__)

NOWHERE = "none://"
"""The output of a preparation by hand, where only the fetch knows the place."""


def check_spec(spec: BatchSpec) -> None:
    """Raise SpecError for a library that is not installed, and for a mistyped parameter of the model."""
    require_libraries(spec)
    for name in unknown_parameters(spec.model):
        log.warning("model.parameters: %r is not known to the vendor's SDK; a compatible server may know it", name)


def check_places(spec: BatchSpec, run_key: str) -> None:
    """Raise what writing and removing at output.uri raises."""
    if spec.output.uri != NOWHERE:
        try_writing(spec.output.uri, f".before-{run_key}")


def check_connections(ids: Iterable[str]) -> None:
    """Raise SpecError for connections that do not exist, by id."""
    for conn_id in ids:
        try:
            BaseHook.get_connection(conn_id)
        except AirflowNotFoundException:
            raise SpecError(
                f"the connection {conn_id!r} does not exist, and later tasks of this run need it. Make it (airflow "
                f"connections add {conn_id} …), or name another one in the spec's connections. Nothing was sent."
            ) from None


def check_pools(spec: BatchSpec, following: Collection[Any]) -> None:
    """Raise SpecError where the spec limits the jobs in flight, and a submitting task passes no pool. A pool that does
    not exist is named in the log: a task cannot ask for it.
    """
    limits = limits_of(None, None, spec)
    if not limits:
        return
    for task in _submitting(following):
        SubmitRules(task.task_id, task.pool, limits).check(spec)
    for pool in pools_of(spec, following):
        log.info(
            "submits pass the pool %s, which needs one slot. While there is no such pool they stay `scheduled`. Make "
            "it: %s",
            pool,
            pool_command(pool),
        )


def check_write_back(spec: BatchSpec, following: Collection[Any]) -> None:
    """Raise SpecError where the spec writes back and no task of the DAG does: its vectors would stay files; or has
    reuse or parity without a task for either; or writes beside, and a task that writes knows no new index.
    """
    chunks = spec.input.chunks is not None
    writers = [task for task in following if _is_a(WriteChunksOperator if chunks else WriteBackOperator, task)]
    is_beside = spec.write_back is not None and spec.write_back.is_beside
    if following and is_beside != any(_is_a(SwapAliasOperator, task) for task in following):
        raise SpecError(
            f"the spec's write_back.mode is {spec.write_back.mode if spec.write_back else 'not given'}, and the tasks "
            'of this DAG are for another: give batch_inference the BatchSpec itself, or write_back="beside" beside a '
            "template. Nothing was sent."
        )
    if is_beside and any(getattr(task, "new_index", ...) is None for task in writers):
        raise SpecError(f"{NO_NEW_INDEX}. Nothing was sent.")
    if spec.reuse and not chunks and writers and not any(getattr(task, "landed", ...) is None for task in writers):
        raise SpecError(
            "the spec has reuse, and this DAG has no task that writes copied vectors: give reuse in the BatchSpec "
            "itself, not by overrides, or wire a WriteBackOperator without landed. Nothing was sent."
        )
    if spec.parity and following and not any(_is_a(CheckParityOperator, task) for task in following):
        raise SpecError(
            "the spec has parity, and this DAG has no task that compares: give parity in the BatchSpec itself, not by "
            "overrides, or wire a CheckParityOperator. Nothing was sent."
        )
    if spec.write_back and following and not writers:
        raise SpecError(
            "the spec has write_back, and this DAG has no task that writes back: give batch_inference write_back=True, "
            f"or wire a {'WriteChunksOperator' if chunks else 'WriteBackOperator'}. Nothing was sent."
        )


def check_approval(spec: BatchSpec, following: Collection[Any]) -> None:
    """Raise SpecError where the spec asks before it pays, and no task of the DAG does: the run would pay unasked."""
    if spec.limits.ask_above_usd is None or not _submitting(following):
        return
    if not any(_is_a(ApprovePlanOperator, task) for task in following):
        raise SpecError(
            "the spec has limits.ask_above_usd, and this DAG has no task that asks: give it in the BatchSpec itself or "
            "in overrides= as a dict, or wire an ApprovePlanOperator before what submits. Nothing was sent."
        )


def check_stragglers(spec: BatchSpec, following: Collection[Any]) -> None:
    """Raise SpecError where the spec pays for stragglers, and their price is not known, or no task of the DAG asks for
    them.
    """
    if not spec.limits.max_straggler_usd:
        return
    known_straggler_tariff(spec)
    if not _submitting(following):
        return
    if not any(_is_a(AnswerStragglersOperator, task) for task in following):
        raise SpecError(
            "the spec has limits.max_straggler_usd, and this DAG has no task that asks online: give batch_inference "
            "stragglers=True, or wire an AnswerStragglersOperator before the report. Nothing was sent."
        )


def pools_of(spec: BatchSpec, tasks: Iterable[Any]) -> list[str]:
    """Return the pools that the submitting tasks among these pass; without one the pool that is the default. Empty
    where the spec has no limit of jobs in flight.
    """
    if not limits_of(None, None, spec):
        return []
    return sorted({task.pool for task in _submitting(tasks)} or {pool_name(spec.registered_as)})


def _submitting(tasks: Iterable[Any]) -> list[Any]:
    return [task for task in tasks if _is_a(SubmitBatchOperator, task)]


def _is_a(operator: type, task: Any) -> bool:
    """Also of a mapped task."""
    return getattr(task, "operator_class", type(task)) is operator
