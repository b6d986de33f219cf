"""ApprovePlanOperator: somebody says yes before a run costs more than its spec allows unasked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk.execution_time.hitl import HITLUser
from airflow.sdk.timezone import utcnow

from opensearch_batch.errors import SpecError
from opensearch_batch.flow.approval import Approval
from opensearch_batch.spec import BatchSpec
from opensearch_batch.tasks.base import flat, know_keys, open_provider_store
from opensearch_batch.tasks.claiming import paid_for, shares
from opensearch_batch.tasks.closing import run_name
from opensearch_batch.tasks.errors import airflow_errors, patient
from opensearch_batch.tasks.forced import force_word
from opensearch_batch.tasks.page_links import PlanLink
from opensearch_batch.tasks.settings import settings_of_spec

if TYPE_CHECKING:
    from airflow.sdk import Context

    from opensearch_batch.flow.shards import Shard
    from opensearch_batch.submit.claims import Claim

APPROVAL = "approval"
"""Key of the XCom."""
WORD = "approved_word"
"""Key of a note that outlives clears: the run's deliberate word for a second payment, when it was last approved."""


class ApprovePlanOperator(ApprovalOperator):
    """Ask whether the plan may be paid for, where its estimate is above `limits.ask_above_usd` of the spec, or not
    known; succeed at once otherwise. XCom `approval` tells what was asked and what became of it.

    What has been paid for does not count: in a cleared run only shards without a job that has answers, or may have,
    are asked about. A rejection, and no answer within `limits.ask_timeout_hours`, skips the tasks directly after this
    task, whatever their trigger rule; so a ReportOperator must not be one of them, and gets this task's id as
    `approved_by`. Airflow itself refuses answers of users without the right, and of others than `limits.ask_users`.

    :param planned_by: task id of the PrepareInputOperator, whose plan and spec count.
    """

    operator_extra_links = (PlanLink(),)
    ui_color = "#d9eef7"

    def __init__(self, *, planned_by: str, **kwargs: Any) -> None:
        # Subject, body and time-out are the run's own, set in execute; a time-out given here keeps HITLOperator from
        # making one of an execution_timeout in default_args.
        defaults = {"subject": "May this run be paid for?", "defaults": self.REJECT, "response_timeout": timedelta(1)}
        super().__init__(**patient({**defaults, **kwargs}))
        self.planned_by = planned_by

    def execute(self, context: Context) -> Any:
        with airflow_errors():
            asked = self._ask(context)
            context["ti"].xcom_push(key=APPROVAL, value=asked.to_dict())
        self.log.info("%s", asked)
        if not asked.was_asked:
            return asked.to_dict()
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """The XCom comes first: a rejection raises what skips the next tasks."""
        if "error" not in event:
            asked = Approval.from_dict(context["ti"].xcom_pull(task_ids=self.task_id, key=APPROVAL))
            answered = _answered(asked, event, self.APPROVE)
            context["ti"].xcom_push(key=APPROVAL, value=answered.to_dict())
            if not answered.refused:
                context["task_state_store"].set(WORD, force_word(context))
            self.log.info("%s", answered)
        return super().execute_complete(context, event)

    def _ask(self, context: Context) -> Approval:
        """Return what is asked for, and set the question."""
        from opensearch_batch.prepare.approval import body_of, must_ask, of_shards, subject_of
        from opensearch_batch.prepare.plan import Plan

        made = {key: context["ti"].xcom_pull(task_ids=self.planned_by, key=key) for key in ("plan", "spec")}
        if not made["plan"]:
            raise SpecError(f"there is no plan: {self.planned_by} did not succeed, and its log says why")
        spec, whole = BatchSpec.check(made["spec"]), Plan.from_dict(made["plan"])
        plan, above = whole, spec.limits.ask_above_usd
        if above is not None and not whole.dry_run and must_ask(whole, above):
            shards = self._unpaid(context, spec)
            plan = of_shards(whole, shards)
            if must_ask(plan, above):
                waits = timedelta(hours=spec.limits.ask_timeout_hours)
                until = (utcnow() + waits).isoformat(timespec="seconds")
                self.subject = subject_of(plan, spec)
                self.body = body_of(plan, whole, spec, sample_of(shards), until)
                self.response_timeout = waits
                if spec.limits.ask_users:
                    self.assigned_users = [HITLUser(id=user, name=user) for user in spec.limits.ask_users]
                return Approval("waiting", plan.records, plan.estimated_usd, above, until)
        return Approval("not_asked", plan.records, plan.estimated_usd, above or 0.0)

    def _unpaid(self, context: Context, spec: BatchSpec) -> list[Shard]:
        """With `same_input: share` what another run has paid for costs nothing either; what another flow of this run
        has, is paid for again. A word for a second payment that was not approved yet makes all of it payable again.
        """
        from opensearch_batch.flow.shards import Shard
        from opensearch_batch.submit.same_input import unpaid

        settings, run = settings_of_spec(spec), run_name(context)
        know_keys(settings, context)
        shards = [Shard.from_dict(each) for each in flat(context["ti"].xcom_pull(task_ids=self.planned_by) or [])]

        if (word := force_word(context)) and context["task_state_store"].get(WORD) != word:
            return shards

        following = {task.task_id for task in self.get_flat_relatives(upstream=False)}

        def counts(claim: Claim) -> bool:
            if claim.run != run:
                return shares(context, spec)
            return bool({claim.task, claim.task.rpartition("-")[0]} & following)  # with a map index, if any

        return unpaid(shards, paid_for(settings), open_provider_store(settings), settings.provider, counts)


def sample_of(shards: Sequence[Shard]) -> Iterator[bytes]:
    """Yield three requests, as they would be sent: the first of the first, the middle and the last shard, or the first
    three of fewer shards.
    """
    from opensearch_batch.prepare.approval import SAMPLES
    from opensearch_batch.storage import read_lines

    spread, each = list(shards), SAMPLES
    if len(spread) >= SAMPLES:
        spread, each = [spread[0], spread[len(spread) // 2], spread[-1]], 1
    left = SAMPLES
    for shard in spread:
        with closing(read_lines(shard.uri)) as lines:
            for line in islice(lines, min(each, left)):
                left -= 1
                yield line.raw


def _answered(asked: Approval, event: dict[str, Any], approve: str) -> Approval:
    from msgspec.structs import replace

    user, at = event.get("responded_by_user"), event["responded_at"]
    yes = approve in event["chosen_options"]
    return replace(
        asked,
        answer="approved" if yes else "rejected" if user else "no_answer",
        by=str(user["name"]) if user else "",
        at=at if isinstance(at, str) else at.isoformat(timespec="seconds"),
    )
