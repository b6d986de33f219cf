"""WriteChunksOperator: the chunks that landed, in all bundles and all rounds, go into their documents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from opensearch_batch.errors import SpecError
from opensearch_batch.spec import BatchSpec
from opensearch_batch.tasks.base import BatchOperator, cluster, flat
from opensearch_batch.tasks.closing import flow_name, of_this_preparation
from opensearch_batch.tasks.settings import TaskSettings, settings_of_spec

if TYPE_CHECKING:
    from airflow.sdk import Context


class WriteChunksOperator(BatchOperator):
    """Write the chunks of each document at once, as `input.chunks` and `write_back` of the spec say; return the counts.

    A document is written over the version that was read, or over a later one with the same text and no vectors of a
    later run, and only where all of its chunks have vectors. Repeating is safe: a document that has its chunks counts
    as written. Skipped where nothing landed. Use trigger_rule="all_done": a shard that failed keeps no other shard's
    documents from being written.

    :param planned_by: task id of the PrepareInputOperator, whose plan and spec count.
    :param landed: the output of all FetchOutputOperators, of all rounds.
    :param repaired_by: task ids of the PrepareRepairOperators, in the order of the rounds.
    :param answered_by: task id of the AnswerStragglersOperator.
    :param new_index: XCom `new_index` of a MakeIndexOperator: the index that waits for the length of the vectors.
    """

    template_fields: Sequence[str] = (*BatchOperator.template_fields, "planned_by", "landed", "new_index")
    template_fields_renderers = {"landed": "json", "spec": "json", "new_index": "json"}

    def __init__(
        self,
        *,
        planned_by: str,
        landed: Any,
        repaired_by: Sequence[str] = (),
        answered_by: str = "",
        new_index: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.planned_by, self.landed, self.repaired_by, self.new_index = planned_by, landed, repaired_by, new_index
        self.answered_by = answered_by

    def run_step(self, context: Context, settings: TaskSettings) -> list[dict[str, Any]]:
        from opensearch_batch.land.report import Fetched
        from opensearch_batch.lineage.steps import of_write_back
        from opensearch_batch.prepare.plan import Plan
        from opensearch_batch.sinks.chunks import ChunkFields, write_chunks
        from opensearch_batch.sources.index_rows import address_of, refuse_another
        from opensearch_batch.sources.reread import Reread
        from opensearch_batch.tasks.beside import map_vector_field
        from opensearch_batch.tasks.lineage import way_of

        made = {key: context["ti"].xcom_pull(task_ids=self.planned_by, key=key) for key in ("plan", "spec")}
        if not made["plan"]:
            raise AirflowSkipException(f"{self.planned_by} did not succeed, and its log says why")
        spec, plan = BatchSpec.check(made["spec"]), Plan.from_dict(made["plan"])
        if spec.input.chunks is None:
            raise AirflowSkipException("the spec has no input.chunks: write_back writes")
        if spec.write_back is None:
            raise SpecError("WriteChunksOperator needs a spec with write_back")
        landed = [part for fetched in flat(self.landed or []) for part in Fetched.from_dict(fetched).landed]
        if not self.repaired_by and any(part.job.round and not part.job.is_online for part in landed):
            raise SpecError(
                "WriteChunksOperator is given what repair rounds have landed, and not their tasks: name the "
                "PrepareRepairOperators in repaired_by"
            )
        landed = of_this_preparation(context["ti"], landed, self.planned_by, self.repaired_by, self.answered_by).landed
        files = {part.results.uri: part.results.rows for part in landed if part.results}
        if plan.reused:
            files[plan.reused.uri] = plan.reused.rows
        uris = list(files)
        if not uris:
            raise AirflowSkipException("no chunk has a vector")
        send = cluster(address_of(spec.input.uri)[0])
        back = spec.write_back
        if back.is_beside:
            map_vector_field(send, back, self.new_index, uris)
        fields = ChunkFields(
            back.chunks_field,
            back.vector_field.rpartition(".")[2],
            back.provenance,
            spec.model.name,
            flow_name(context, plan.flow or ""),
        )
        check, texts = partial(refuse_another, send), Reread(spec, back)
        written = write_chunks(_lines(uris), fields, plan.indices or (), send, check, texts)
        self.log.info("%s", written)
        self.lineage = partial(of_write_back, way_of(context, settings_of_spec(spec)), sum(files.values()), [written])
        return [written.to_dict()]


def _lines(uris: Sequence[str]) -> Iterator[bytes]:
    from opensearch_batch.storage import open_binary

    for uri in uris:
        with open_binary(uri) as lines:
            yield from lines
