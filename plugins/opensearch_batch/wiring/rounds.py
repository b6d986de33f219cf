"""The rounds of a run: the mapped group `shard`, in which each bundle flows alone, and the repair rounds after it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from airflow.sdk import TriggerRule, task_group

from opensearch_batch.operators import (
    FetchOutputOperator,
    PrepareInputOperator,
    PrepareRepairOperator,
    SubmitBatchOperator,
    WriteBackOperator,
)
from opensearch_batch.sensor import BatchSensor
from opensearch_batch.submit.admission import pool_command
from opensearch_batch.tasks.index_name import TEMPLATE as INDEX_NAME
from opensearch_batch.wiring.shape import Shape
from opensearch_batch.wiring.start import Start
from opensearch_batch.wiring.writing import Writing

SKIPPED = "Skipped where no row is left that another try may answer: nothing is wrong then."
NAMED: dict[str, Any] = {"map_index_template": INDEX_NAME}


@dataclass
class Bundle:
    """The tasks of a mapped group, of each bundle the same; Airflow makes them when the group is expanded."""

    submitted: list[SubmitBatchOperator] = field(default_factory=list)
    waited: list[BatchSensor] = field(default_factory=list)
    written: list[WriteBackOperator] = field(default_factory=list)


@dataclass(frozen=True)
class Round:
    """A mapped group: the task that has prepared its shards, the tasks of its bundles, and what these land and write.
    A task's id begins with the group in which the flow was called, if any, so the tasks themselves are named.
    """

    prepared: PrepareInputOperator | PrepareRepairOperator
    bundle: Bundle
    landed: Any


def rounds_of(start: Start, shape: Shape, writing: Writing, pool: str | None) -> list[Round]:
    """Wire the first round and the repair rounds after it; tasks that submit pass the pool."""
    flow = _BundleFlow(start, shape, writing, _passing(pool))
    rounds = [flow.round("shard", start.prepare, last=not shape.rounds)]
    for number in range(1, shape.rounds + 1):
        repair = _repair(number, start, rounds[-1])
        rounds.append(flow.round(f"repair_{number}", repair, last=number == shape.rounds, tooltip=SKIPPED))
    return rounds


def _repair(number: int, start: Start, before: Round) -> PrepareRepairOperator:
    return PrepareRepairOperator(
        task_id=f"prepare_repair_{number}",
        spec=start.spec,
        landed=before.landed,
        planned_by=before.prepared.task_id,
        trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS,
        doc_md=SKIPPED,
    )


@dataclass(frozen=True)
class _BundleFlow:
    """The tasks of each bundle, alike in all rounds; `passing` are the arguments of tasks that submit."""

    start: Start
    shape: Shape
    writing: Writing
    passing: dict[str, Any]

    def round(
        self, group_id: str, prepared: PrepareInputOperator | PrepareRepairOperator, *, last: bool, tooltip: str = ""
    ) -> Round:
        bundle = Bundle()

        @task_group(group_id=group_id, tooltip=tooltip)
        def each_bundle(shards: Any) -> Any:
            fetched = self._fetch(self._outcomes(shards, bundle), last=last)
            if self.shape.vectors:
                bundle.written.append(self.writing.of_bundle(fetched, **NAMED))
            return fetched

        return Round(prepared, bundle, each_bundle.expand(shards=prepared.output))

    def _outcomes(self, shards: Any, bundle: Bundle) -> Any:
        """Submit the bundle and wait for its jobs."""
        spec, named = self.start.spec, {**NAMED, **self.passing}
        model_id = self.start.model.output
        submit = SubmitBatchOperator(task_id="submit_batch", spec=spec, model_id=model_id, shards=shards, **named)
        wait = BatchSensor(task_id="wait_for_batch", spec=spec, jobs=submit.output, **named)
        bundle.submitted.append(submit)
        bundle.waited.append(wait)
        return wait.output

    def _fetch(self, outcomes: Any, *, last: bool) -> Any:
        """Return what has landed; only a round that is not the last hands rows on to another."""
        stragglers: dict[str, Any] = {"stragglers": True} if self.shape.stragglers else {}
        return FetchOutputOperator(
            task_id="fetch_output",
            spec=self.start.spec,
            outcomes=outcomes,
            final=False,
            repair=not last,
            **stragglers,
            **NAMED,
        ).output


def _passing(pool: str | None) -> dict[str, Any]:
    """Return the pool, and as the task's doc_md the command that makes the pool: Airflow tells of an absent pool only
    in the scheduler's log.
    """
    if pool is None:
        return {}
    missing = f"Passes the pool `{pool}`. While there is none of that name this task stays `scheduled`. Make it:"
    return {"pool": pool, "doc_md": f"{missing} `{pool_command(pool)}`"}
