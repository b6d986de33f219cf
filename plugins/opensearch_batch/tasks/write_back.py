"""WriteBackOperator: the vectors that landed go into the documents that they were made from."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from opensearch_batch.errors import SpecError
from opensearch_batch.tasks.base import BatchOperator, cluster, flat
from opensearch_batch.tasks.index_name import index_name
from opensearch_batch.tasks.settings import TaskSettings

if TYPE_CHECKING:
    from airflow.sdk import Context


class WriteBackOperator(BatchOperator):
    """Write landed vectors into the index, as `write_back` of the spec says; return the counts of each shard.

    A vector is written only over the version of the document that was read. Repeating is safe: a vector that is there
    counts as written. Fails where the index is no longer the one that was read.

    :param landed: the output of a FetchOutputOperator.
    :param plan: XCom `plan` of the PrepareInputOperator, with the state of the indices at reading.
    """

    template_fields: Sequence[str] = (*BatchOperator.template_fields, "landed", "plan")
    template_fields_renderers = {"landed": "json", "plan": "json", "spec": "json"}

    def __init__(self, *, landed: Any, plan: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.landed, self.plan = landed, plan

    @property
    def index_name(self) -> str:
        landed = flat(self.landed or [])
        return index_name([part for fetched in landed for part in fetched["landed"]])

    def run_step(self, context: Context, settings: TaskSettings) -> list[dict[str, Any]]:
        from opensearch_batch.flow.landed import Landed
        from opensearch_batch.flow.written import Written
        from opensearch_batch.land.report import Fetched
        from opensearch_batch.prepare.plan import Plan
        from opensearch_batch.sinks.index import VectorFields, write_vectors
        from opensearch_batch.sources.index_rows import address_of, refuse_another
        from opensearch_batch.storage import connect, open_binary
        from opensearch_batch.tasks.side_by_side import side_by_side

        spec = settings.spec
        if spec is None or spec.write_back is None:
            raise SpecError("WriteBackOperator needs spec= with write_back")
        plan = Plan.from_dict(self.plan)
        states = plan.indices or ()
        send = cluster(address_of(spec.input.uri)[0])
        check = partial(refuse_another, send)
        fields = VectorFields(
            spec.write_back.vector_field, spec.write_back.provenance, spec.model.name, context["dag_run"].run_id
        )
        landed = [part for fetched in flat(self.landed or []) for part in Fetched.from_dict(fetched).landed]
        connect([part.results.uri for part in landed if part.results])

        def written_of(part: Landed) -> Written:
            if part.results is None:
                return Written()
            with open_binary(part.results.uri) as lines:
                return write_vectors(lines, fields, states, send, check)

        written = side_by_side(written_of, landed, lambda part: part.job.name, at_once=1)
        for part in written:
            self.log.info("%s", part)
        return [part.to_dict() for part in written]
