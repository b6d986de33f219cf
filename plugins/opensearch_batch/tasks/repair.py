"""PrepareRepairOperator: the rows a fetch handed on become the input of one more round. A DAG has all rounds when the
file is parsed, since a run has no loop.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from opensearch_batch.flow.stragglers import asked_mark, sent_mark
from opensearch_batch.limit_section import LimitSection
from opensearch_batch.tasks.base import BatchOperator, flat
from opensearch_batch.tasks.closing import instance
from opensearch_batch.tasks.finishing import is_finished
from opensearch_batch.tasks.settings import TaskSettings

if TYPE_CHECKING:
    from airflow.sdk import Context

    from opensearch_batch.flow.landed import Landed
    from opensearch_batch.flow.shards import Shard
    from opensearch_batch.spec import BatchSpec


class PrepareRepairOperator(BatchOperator):
    """Gather the rows that FetchOutputOperator(repair=True) handed on into shards; return the bundles, a bundle for
    each mapped group of the round. Without rows the operator skips itself, and so the round.

    XCom `taken` tells ReportOperator(repaired_by=[…]) the rows of each shard. Use
    trigger_rule="all_done_min_one_success", so that a failed shard does not keep the other shards from repair.

    From `wait.finish_by` of the spec on no round begins; one that began before goes on with the same rows.

    :param landed: the output of the fetches of the round before.
    :param planned_by: task id of the PrepareInputOperator or PrepareRepairOperator that made the bundles of the round
        before. Rows of other bundles, which an earlier preparation may have left, do not go again; without a task id
        all rows do.
    :param max_requests: rows a shard; default: the spec's, else the provider's.
    :param max_bytes: bytes a shard; the same.
    """

    template_fields: Sequence[str] = (*BatchOperator.template_fields, "landed")

    def __init__(
        self,
        *,
        landed: Any,
        planned_by: str = "",
        max_requests: int | None = None,
        max_bytes: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.landed = landed
        self.planned_by = planned_by
        self.max_requests = max_requests
        self.max_bytes = max_bytes

    def run_step(self, context: Context, settings: TaskSettings) -> list[list[dict[str, Any]]]:
        from opensearch_batch.flow.shards import Shard
        from opensearch_batch.land.planned import of_bundles
        from opensearch_batch.land.repair import handed_on_by, prepare_repair
        from opensearch_batch.land.report import Fetched
        from opensearch_batch.prepare.preparation import shard_limits

        fetched: Sequence[Sequence[Landed]] = [Fetched.from_dict(one).landed for one in flat(self.landed or [])]
        if self.planned_by:
            made = context["ti"].xcom_pull(task_ids=self.planned_by) or []
            fetched = of_bundles(fetched, [[Shard.from_dict(shard) for shard in flat(bundle)] for bundle in made])
        fetched = _not_asked_online(fetched)
        if settings.spec and settings.spec.wait.finish_by is not None:
            fetched = self._in_time(context, settings.spec, fetched)
        sources = handed_on_by([part for parts in fetched for part in parts])
        if not sources:
            raise AirflowSkipException("not needed: no row of the round before may be answered by another try")
        limits = settings.spec.limits if settings.spec else LimitSection()
        given = {"max_requests": self.max_requests, "max_bytes": self.max_bytes}
        limits = limits.model_copy(update={name: value for name, value in given.items() if value})
        taken, bundles = prepare_repair(
            fetched,
            settings.provider,
            f"{sources[0].shard.run_folder}/{instance(context['ti'])}",
            shard_limits(limits, settings.provider),
            _bytes_on_top(settings.spec, sources[0].shard),
        )
        context["ti"].xcom_push(key="taken", value=[group.to_dict() for group in taken])
        _mark(source for group in taken for source in group.sources)
        shards = [shard for bundle in bundles for shard in bundle]
        self.log.info("%d rows go again, in %d shards", sum(shard.records for shard in shards), len(shards))
        return [[shard.to_dict() for shard in bundle] for bundle in bundles]

    def _in_time(
        self, context: Context, spec: BatchSpec, fetched: Sequence[Sequence[Landed]]
    ) -> list[Sequence[Landed]]:
        """Rows that an earlier try has sent are sent again as they were: their jobs are found."""
        from opensearch_batch.storage import exists

        finished = is_finished(context, spec)
        rounds = 0 if finished else spec.limits.repair_rounds

        def may_go(part: Landed) -> bool:
            return part.repair is not None and (part.job.round < rounds or exists(sent_mark(part.repair.uri)))

        ours: list[Sequence[Landed]] = [[part for part in parts if may_go(part)] for parts in fetched]
        if finished and not any(ours):
            raise AirflowSkipException("wait.finish_by has come: no further batch is sent")
        return ours


def _not_asked_online(fetched: Sequence[Sequence[Landed]]) -> list[Sequence[Landed]]:
    """Leave out the rows that only the AnswerStragglersOperator may have, whatever the spec says by now."""
    from opensearch_batch.storage import exists

    return [[part for part in parts if not part.repair or not exists(asked_mark(part.repair.uri))] for parts in fetched]


def _bytes_on_top(spec: BatchSpec | None, shard: Shard) -> int:
    """As the preparation of the shard has counted them; 0 where no spec tells the parameters."""
    from opensearch_batch.land.output_check import schema_of
    from opensearch_batch.prepare.output_schema import bytes_on_top, parameters_of

    return bytes_on_top(spec, parameters_of(spec, schema_of(shard))) if spec else 0


def _mark(sources: Iterable[str]) -> None:
    """Say of handed-on files that a batch may have their rows, before any batch has. Whatever the spec says now: it may
    get a wait.finish_by later.
    """
    from opensearch_batch.storage import write_object

    for source in sources:
        write_object(sent_mark(source), b"{}")
