"""AnswerStragglersOperator: the rows that no batch has answered, one by one through the cluster's `_predict`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from opensearch_batch.spec import BatchSpec
from opensearch_batch.tasks.base import BatchOperator, cluster, flat, know_keys
from opensearch_batch.tasks.closing import instance, of_this_preparation
from opensearch_batch.tasks.earlier_tasks import failed_before, was_not_reached
from opensearch_batch.tasks.settings import TaskSettings, settings_of_spec

if TYPE_CHECKING:
    from airflow.sdk import Context

    from opensearch_batch.flow.landed import Landed
    from opensearch_batch.land.repair import Taken
    from opensearch_batch.prepare.plan import Plan

STRAGGLERS = "stragglers"
"""Key of the XCom."""


class AnswerStragglersOperator(BatchOperator):
    """Ask the model online, row by row, for the rows that batches have left, and land the answers as a fetch does;
    return what a FetchOutputOperator returns. Skipped where no row is left.

    Nothing is asked where all of the rows together cost more at the list price than `limits.max_straggler_usd` of the
    spec, or where the connector of a model that writes does not take a row whole, as `online_body`: the rows stay
    failed, with their reasons. Answers are kept every 50 rows, so a task that is killed has paid for 50 rows at most
    that a later try pays for again. XCom `stragglers` has the figures. Use trigger_rule="all_done": repair rounds are
    skipped when the time is up.

    :param planned_by: task id of the PrepareInputOperator, whose plan and spec count.
    :param landed: the output of all fetches, of all rounds; each with `stragglers=True`.
    :param repaired_by: task ids of the PrepareRepairOperators, in the order of the rounds: what they took is left to
        them.
    :param model_id: id of the model in the cluster.
    """

    template_fields: Sequence[str] = (*BatchOperator.template_fields, "planned_by", "landed", "model_id")
    template_fields_renderers = {"landed": "json", "spec": "json"}

    def __init__(
        self,
        *,
        planned_by: str,
        landed: Any,
        model_id: Any,
        repaired_by: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.planned_by, self.landed, self.repaired_by, self.model_id = planned_by, landed, repaired_by, model_id

    def run_step(self, context: Context, settings: TaskSettings) -> dict[str, Any]:
        from opensearch_batch.land.report import Fetched
        from opensearch_batch.lineage.steps import of_fetch
        from opensearch_batch.storage import connect
        from opensearch_batch.tasks.lineage import way_of

        spec, plan = self._made(context)
        parts = self._open(context)
        if not self.model_id:  # in this try; what an earlier try has landed is there all the same
            raise AirflowSkipException("there is no model to ask: a task before failed, and its log says why")
        connect([spec.output.uri, *(part.repair.uri for part in parts if part.repair)])
        taken, answered = self._answer(context, spec, plan, parts)
        context["ti"].xcom_push(key="taken", value=[group.to_dict() for group in taken])
        self.lineage = partial(of_fetch, way_of(context, settings_of_spec(spec)), answered, spec.output.uri)
        return Fetched(answered, None).to_dict()

    def _open(self, context: Context) -> list[Landed]:
        """Return what has open rows. Rows that a repair round has sent in an earlier try are not open, also where this
        try's repair tasks do not tell.
        """
        from opensearch_batch.flow.stragglers import sent_mark
        from opensearch_batch.land.report import Fetched
        from opensearch_batch.storage import exists
        from opensearch_batch.stragglers.open_rows import open_parts

        landed = [part for fetched in flat(self.landed or []) for part in Fetched.from_dict(fetched).landed]
        parts = open_parts(of_this_preparation(context["ti"], landed, self.planned_by, self.repaired_by))
        if not parts:
            raise AirflowSkipException("not needed: batches have answered every row, or refused it for good")
        if not (left := [part for part in parts if part.repair and not exists(sent_mark(part.repair.uri))]):
            raise AirflowSkipException("batches of a repair round have the open rows: clear that round")
        return left

    def _made(self, context: Context) -> tuple[BatchSpec, Plan]:
        from opensearch_batch.prepare.plan import Plan

        made = {key: context["ti"].xcom_pull(task_ids=self.planned_by, key=key) for key in ("plan", "spec")}
        if not made["plan"] or self.planned_by in failed_before(context) or was_not_reached(context, self.planned_by):
            raise AirflowSkipException(f"{self.planned_by} did not succeed, and its log says why")
        spec, plan = BatchSpec.check(made["spec"]), Plan.from_dict(made["plan"])
        if plan.dry_run:
            raise AirflowSkipException("dry run: nothing is asked")
        if spec.wait.finish_by is None:
            raise AirflowSkipException("the spec has no wait.finish_by")
        return spec, plan

    def _answer(
        self, context: Context, spec: BatchSpec, plan: Plan, parts: Sequence[Landed]
    ) -> tuple[list[Taken], list[Landed]]:
        """Return what was taken, and what landed: nothing of both where no row was asked in any try."""
        from opensearch_batch.flow.stragglers import asked_mark
        from opensearch_batch.land.landing import Target
        from opensearch_batch.prepare.shards import ShardLimits
        from opensearch_batch.storage import write_object
        from opensearch_batch.stragglers.answering import answer_rows, land_online, open_of
        from opensearch_batch.stragglers.answers import Answers
        from opensearch_batch.stragglers.open_rows import open_shards, shards_of
        from opensearch_batch.temporary_database import temporary_database

        settings, run_folder = settings_of_spec(spec), _run_folder(parts)
        know_keys(settings, context)
        vendor = settings.provider
        limits = ShardLimits(vendor.MAX_REQUESTS, vendor.MAX_BYTES)
        taken = open_shards(parts, vendor, f"{run_folder}/{instance(context['ti'])}", limits)
        shards, handed_on = shards_of(taken), [part.repair for part in parts if part.repair]

        def mark() -> None:
            for file in handed_on:
                write_object(asked_mark(file.uri), b"{}")

        with temporary_database() as db:
            answers = Answers(db, run_folder, vendor)
            answers.load()
            answers.explain(file.uri for file in handed_on)
            send = cluster(settings.opensearch_conn_id)
            rows = open_of(shards, spec, answers)
            found = answer_rows(rows, send, self.model_id, mark)
            context["ti"].xcom_push(key=STRAGGLERS, value=found.to_dict())
            (self.log.warning if found.answered < found.rows else self.log.info)("%s", found)
            if not (found.answered or found.refused or found.unaskable):
                return [], []
            target = Target(spec.output.uri.rstrip("/"), plan.run_key, spec.output.format)
            return taken, [land_online(rows, shard, self.model_id, target) for shard in shards]


def _run_folder(parts: Sequence[Landed]) -> str:
    return next(part.job.shard.run_folder for part in parts if part.job.shard)
