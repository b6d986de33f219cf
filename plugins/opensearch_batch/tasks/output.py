"""The operators after the wait: FetchOutputOperator lands the answers, ReportOperator sums up the run and judges it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException
from msgspec import UNSET

from opensearch_batch.errors import SpecError, Terminal
from opensearch_batch.prepare.run_note import preparation_folder, whole_preparations
from opensearch_batch.spec import BatchSpec
from opensearch_batch.tasks.base import BatchOperator, flat, flat_given, open_provider_store
from opensearch_batch.tasks.closing import (
    Ends,
    close_run,
    instance,
    landed_plan,
    of_this_preparation,
    run_key,
)
from opensearch_batch.tasks.earlier_tasks import failed_before, was_not_reached
from opensearch_batch.tasks.index_name import index_name
from opensearch_batch.tasks.metrics import time_landing
from opensearch_batch.tasks.page_links import ReportLink
from opensearch_batch.tasks.pulled import approval_of, parity_of, pulled, stragglers_of
from opensearch_batch.tasks.settings import TaskSettings, settings_of_spec

if TYPE_CHECKING:
    from airflow.sdk import Context

    from opensearch_batch.flow.jobs import Job, Outcome
    from opensearch_batch.flow.landed import Landed
    from opensearch_batch.flow.written import Written
    from opensearch_batch.land.planned import Planned
    from opensearch_batch.prepare.plan import Plan

NO_OUTCOMES = (
    "A wait that is marked cancels the jobs that run. Clear it, with what follows, and what they have answered lands"
)


class FetchOutputOperator(BatchOperator):
    """Stream the jobs' output files to results and failures at `output_uri`, each row joined to its input by id.

    Returns {"landed": [one entry a shard], "report": the sums, or None}.

    :param outcomes: the Outcomes that BatchSensor returned.
    :param final: True by hand: the jobs are the whole run, so the operator writes the manifest, and a row without
        answer or reason fails the task. False in a pipeline, where ReportOperator does both.
    :param output_format: "jsonl" or "parquet" (needs pyarrow); default: the spec's, else jsonl.
    :param repair: hand rows that expired, were cancelled, are missing or failed for a passing reason on to the next
        PrepareRepairOperator; other failed rows are failures at once. Not in the last round, not with final, and never
        more rounds than limits.repair_rounds of a spec. Jobs of raw parameters hand on nothing.
    :param stragglers: hand such rows on after the last round too, to the AnswerStragglersOperator, where the spec has
        wait.finish_by and limits.max_straggler_usd.
    """

    template_fields: Sequence[str] = (*BatchOperator.template_fields, "outcomes", "output_uri", "output_format")
    template_fields_renderers = {"outcomes": "json", "spec": "json"}
    operator_extra_links = (ReportLink(),)

    def __init__(
        self,
        *,
        outcomes: Any,
        output_uri: str = "",
        output_format: str = "",
        final: bool = True,
        max_failed_fraction: float = 0.0,
        repair: bool = False,
        stragglers: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.outcomes = outcomes
        self.output_uri = output_uri
        self.output_format = output_format
        self.final = final
        self.max_failed_fraction = max_failed_fraction
        self.repair = repair
        self.stragglers = stragglers

    @property
    def index_name(self) -> str:
        return index_name(self.outcomes)

    def run_step(self, context: Context, settings: TaskSettings) -> dict[str, Any]:
        from opensearch_batch.flow.jobs import Outcome
        from opensearch_batch.land.bad_rows import bad_rows_beside, land_bad_rows
        from opensearch_batch.land.landing import land
        from opensearch_batch.land.report import Fetched
        from opensearch_batch.lineage.steps import of_fetch
        from opensearch_batch.sinks.formats import format_of
        from opensearch_batch.storage import connect
        from opensearch_batch.tasks.lineage import way_of
        from opensearch_batch.tasks.side_by_side import side_by_side

        spec, vendor = settings.spec, settings.provider
        output_uri = (self.output_uri or (spec.output.uri if spec else "")).rstrip("/")
        output_format = format_of(self.output_format or (spec.output.format if spec else "jsonl"))
        if not output_uri:
            raise SpecError("FetchOutputOperator needs output_uri= or spec=")
        if self.final and (self.repair or self.stragglers):
            raise SpecError("a fetch that leaves rows to a repair is not the last: final=False, and a ReportOperator")
        ti = context["ti"]
        if self.final and ti.map_index is not None and ti.map_index >= 0:
            raise SpecError("a mapped fetch is one of several: give it final=False, and a ReportOperator after it")
        own_key = run_key(self.dag_id, context["dag_run"].run_id, instance(ti) if self.final else "")
        store = open_provider_store(settings)
        outcomes = [Outcome.from_dict(outcome) for outcome in flat_given(self.outcomes, "outcomes", NO_OUTCOMES)]
        connect([output_uri, *(outcome.job.shard.uri for outcome in outcomes if outcome.job.shard)])

        answers_stragglers = self.stragglers and spec is not None and bool(spec.limits.max_straggler_usd)

        def landed_of(outcome: Outcome) -> Landed:
            repair = self.repair and (spec is None or outcome.job.round < spec.limits.repair_rounds)
            repair = repair or answers_stragglers or (self.stragglers and _was_asked_online(outcome.job))
            shard = outcome.job.shard
            key = shard.run_key if shard and not self.final else own_key
            return land(outcome, store, vendor, output_uri, key, output_format, repair=repair)

        landed = side_by_side(landed_of, outcomes, lambda outcome: outcome.job.name)
        time_landing(context, outcomes)
        report = None
        if self.final:
            report = close_run(
                context,
                landed_plan(landed, own_key, instance(ti)),
                Ends(landed=landed, bad=land_bad_rows(bad_rows_beside(landed), output_uri, own_key)),
                output_uri,
                {},
                max_failed_fraction=self.max_failed_fraction,
                may_shrink=bool(spec and spec.output.may_shrink),
                prepared_in=whole_preparations(part.job.shard.uri for part in landed if part.job.shard),
            )
        self.lineage = partial(of_fetch, way_of(context, settings), landed, output_uri)
        return Fetched(landed, report).to_dict()


class ReportOperator(BatchOperator):
    """Sum up a run against the run's plan, write the manifest, emit the asset event; return the Report.

    Fails the run when a planned row has neither an answer nor a reason, or more than `limits.max_failed_fraction`
    failed. Use trigger_rule="all_done", so that the report speaks for shards that did not arrive, too.

    :param planned_by: task id of the PrepareInputOperator, whose plan and spec count.
    :param landed: the output of all fetches, of all rounds.
    :param skip_without_plan: skip, where `planned_by` failed, instead of failing: for DAGs in which another task fails
        then, and makes the run a failure.
    :param repaired_by: task ids of the PrepareRepairOperators, in the order of the rounds. A row that was handed on and
        landed in no later round is a failure, with the earlier reason.
    :param answered_by: task id of the AnswerStragglersOperator, whose output is one of `landed`.
    :param submitted_by: task ids of the SubmitBatchOperators, and
    :param waited_by: of the BatchSensors: jobs that did not land are counted, and their tokens paid.
    :param written_by: task ids of the WriteBackOperators or WriteChunksOperators: a run whose vectors are not all in
        the index fails.
    :param compared_by: task id of a CheckParityOperator: a run whose vectors are too far from the model's fails.
    :param swapped_by: task id of the SwapAliasOperator: a run whose alias has not moved fails.
    :param approved_by: task id of an ApprovePlanOperator: after a rejection the report says so and is skipped. Nothing
        is judged then and nothing written, no checkpoint moved, and no asset event emitted.
    """

    template_fields: Sequence[str] = (*BatchOperator.template_fields, "planned_by", "landed")
    operator_extra_links = (ReportLink(),)

    def __init__(
        self,
        *,
        planned_by: str,
        landed: Any,
        repaired_by: Sequence[str] = (),
        answered_by: str = "",
        skip_without_plan: bool = False,
        submitted_by: Sequence[str] = (),
        waited_by: Sequence[str] = (),
        written_by: Sequence[str] = (),
        compared_by: str = "",
        swapped_by: str = "",
        approved_by: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.planned_by = planned_by
        self.skip_without_plan = skip_without_plan
        self.landed = landed
        self.repaired_by, self.answered_by = repaired_by, answered_by
        self.submitted_by, self.waited_by, self.written_by = submitted_by, waited_by, written_by
        self.compared_by = compared_by
        self.swapped_by = swapped_by
        self.approved_by = approved_by

    def run_step(self, context: Context, settings: TaskSettings) -> dict[str, Any]:
        from opensearch_batch.flow.beside import Swapped
        from opensearch_batch.flow.jobs import Job
        from opensearch_batch.land.index_checkpoint import keep_checkpoint
        from opensearch_batch.land.not_sent import rejected_report
        from opensearch_batch.land.rest import land_rest
        from opensearch_batch.lineage.steps import of_report
        from opensearch_batch.tasks.lineage import way_of

        spec, plan = self._prepared(context)
        planned = self._planned(context)
        submitted = [job for job in pulled(context, self.submitted_by, Job) if planned.has(job)]
        approval = approval_of(context, self.approved_by)
        if approval and approval.refused:
            rejected = rejected_report(plan, approval, submitted)
            context["ti"].xcom_push(key="report", value=rejected.to_dict())
            raise AirflowSkipException(str(rejected))
        left, bad, reused = land_rest(spec, plan, planned)
        swaps = self.swapped_by and (plan.records or reused)
        ends = Ends(
            landed=planned.landed,
            left=left,
            unlanded=self._unlanded(context, planned, submitted),
            bad=bad,
            written=self._written(context, plan, planned) if self.written_by else None,
            reused=reused,
            parity=parity_of(context, self.compared_by),
            approval=approval,
            stragglers=stragglers_of(context, self.answered_by),
            swapped=next(iter(pulled(context, [self.swapped_by], Swapped)), None) if swaps else UNSET,
        )
        report = close_run(
            context,
            plan,
            ends,
            spec.output.uri.rstrip("/"),
            spec.to_dict(),
            max_failed_fraction=spec.limits.max_failed_fraction,
            may_shrink=spec.output.may_shrink or spec.write_back is not None,
            prepared_in=[preparation_folder(spec.work_uri, plan.run_key, self.planned_by)],
        )
        is_beside = spec.write_back is not None and spec.write_back.is_beside
        if report.written and not is_beside and plan.indices and plan.question and spec.input.max_records is None:
            keep_checkpoint(spec, plan.question, plan.indices, report)
        if not plan.records and not reused:
            raise AirflowSkipException("no rows: the manifest says so, and nothing else was written")
        self.lineage = partial(of_report, way_of(context, settings_of_spec(spec)), report)
        return report.to_dict()

    def _prepared(self, context: Context) -> tuple[BatchSpec, Plan]:
        """Return the run's spec and plan. Raise Terminal where they are of an earlier try; skip a dry run."""
        from opensearch_batch.prepare.plan import Plan

        if self.skip_without_plan and self.planned_by in failed_before(context):
            raise AirflowSkipException(f"{self.planned_by} failed, and its log says why; what landed before stays")
        if was_not_reached(context, self.planned_by):
            raise Terminal(
                f"{', '.join(failed_before(context))} failed, and its log says why; {self.planned_by} did not run. "
                "What landed before stays as it is"
            )
        made = {key: context["ti"].xcom_pull(task_ids=self.planned_by, key=key) for key in ("plan", "spec")}
        if not made["plan"]:
            raise SpecError(f"there is no plan: {self.planned_by} did not succeed, and its log says why")
        if self.planned_by in failed_before(context):  # what it made was made by an earlier try
            raise Terminal(f"{self.planned_by} failed, and its log says why; what landed before stays as it is")
        spec, plan = BatchSpec.check(made["spec"]), Plan.from_dict(made["plan"])
        if plan.dry_run:
            raise AirflowSkipException(f"dry run, nothing was sent: {plan}. To send it, start a run without dry_run")
        return spec, plan

    def _planned(self, context: Context) -> Planned:
        from opensearch_batch.land.report import Fetched

        landed = [part for fetched in flat(self.landed or []) for part in Fetched.from_dict(fetched).landed]
        return of_this_preparation(context["ti"], landed, self.planned_by, self.repaired_by, self.answered_by)

    def _unlanded(
        self, context: Context, planned: Planned, submitted: Sequence[Job]
    ) -> list[tuple[Job, Outcome | None]]:
        from opensearch_batch.flow.jobs import Outcome
        from opensearch_batch.land.unlanded import unlanded

        waited = [end for end in pulled(context, self.waited_by, Outcome) if planned.has(end.job)]
        return unlanded(submitted, waited, planned.landed)

    def _written(self, context: Context, plan: Plan, planned: Planned) -> list[Written]:
        """Of an earlier preparation's results files nothing counts."""
        from opensearch_batch.flow.written import Written

        files = {part.results.uri for part in planned.landed if part.results}
        files |= {plan.reused.uri if plan.reused else ""}
        written = pulled(context, self.written_by, Written)
        return [part for part in written if part.results in files or part.chunks is not UNSET]


def _was_asked_online(job: Job) -> bool:
    """Whether an earlier try has asked for the job's rows online: they stay handed on, whatever the spec says now."""
    from opensearch_batch.flow.stragglers import asked_mark
    from opensearch_batch.storage import exists

    return job.shard is not None and exists(asked_mark(job.shard.handed_on_uri(job.key)))
