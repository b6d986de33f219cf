"""WriteBackOperator: the vectors that landed go into the documents that they were made from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException
from msgspec.structs import replace

from opensearch_batch.errors import SpecError
from opensearch_batch.tasks.base import BatchOperator, cluster, flat, flat_given
from opensearch_batch.tasks.closing import flow_name
from opensearch_batch.tasks.index_name import index_name
from opensearch_batch.tasks.settings import TaskSettings

if TYPE_CHECKING:
    from airflow.sdk import Context

    from opensearch_batch.flow.data_files import DataFile
    from opensearch_batch.flow.documents import IndexState
    from opensearch_batch.flow.written import Written
    from opensearch_batch.prepare.plan import Plan
    from opensearch_batch.sinks.bulk import Send
    from opensearch_batch.sinks.index import Check
    from opensearch_batch.sources.sidecar import Sidecar
    from opensearch_batch.spec import BatchSpec
    from opensearch_batch.write_back_section import WriteBackSection


class WriteBackOperator(BatchOperator):
    """Write landed vectors into the index, as `write_back` of the spec says; return the counts of each results file.

    A vector is written over the version of the document that was read, or over a later one with the same text and no
    vector of a later run. Repeating is safe: a vector that is there counts as written. Fails where the index is no
    longer the one that was read.

    :param new_index: XCom `new_index` of a MakeIndexOperator: the index that waits for the length of the vectors.
    :param plan: XCom `plan` of the PrepareInputOperator, with the state of the indices at reading.
    :param landed: the output of a FetchOutputOperator; without it the vectors of earlier runs are written that the
        preparation has found (`reuse` of the spec), and the task is skipped where there are none.
    """

    template_fields: Sequence[str] = (*BatchOperator.template_fields, "landed", "plan", "new_index")
    template_fields_renderers = {"landed": "json", "plan": "json", "spec": "json", "new_index": "json"}

    def __init__(self, *, plan: Any, landed: Any = None, new_index: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan, self.landed, self.new_index = plan, landed, new_index
        self.takes_landed = landed is not None  # what another task was to give may be None when it is rendered

    @property
    def index_name(self) -> str:
        landed = flat(self.landed or [])
        return index_name([part for fetched in landed for part in fetched["landed"]])

    def run_step(self, context: Context, settings: TaskSettings) -> list[dict[str, Any]]:
        from opensearch_batch.lineage.steps import of_write_back
        from opensearch_batch.prepare.plan import Plan
        from opensearch_batch.prepare.sidecar import make_sidecar
        from opensearch_batch.sources.index_rows import address_of
        from opensearch_batch.storage import connect
        from opensearch_batch.tasks.beside import map_vector_field
        from opensearch_batch.tasks.lineage import way_of
        from opensearch_batch.tasks.side_by_side import side_by_side

        spec = settings.spec
        if spec is None or spec.write_back is None:
            raise SpecError("WriteBackOperator needs spec= with write_back")
        if spec.input.chunks:
            raise AirflowSkipException("write_chunks writes the chunks of all bundles")
        plan = Plan.from_dict(self.plan)
        send = cluster(address_of(spec.input.uri)[0])
        if spec.write_back.provenance_index:
            make_sidecar(spec)
        name = flow_name(context, plan.flow or "")
        write = _writing(send, spec, spec.write_back, name, plan.indices or ())
        files = self._files(plan)
        connect([file.uri for file in files])
        if spec.write_back.is_beside:
            map_vector_field(send, spec.write_back, self.new_index, [file.uri for file in files])
        written = side_by_side(write, files, lambda file: file.uri, at_once=1)
        for part in written:
            self.log.info("%s", part)
        self.lineage = partial(of_write_back, way_of(context, settings), sum(file.rows for file in files), written)
        return [part.to_dict() for part in written]

    def _files(self, plan: Plan) -> list[DataFile]:
        from opensearch_batch.land.report import Fetched

        if self.takes_landed:
            given = flat_given(self.landed, "results")
            landed = [part for fetched in given for part in Fetched.from_dict(fetched).landed]
            return [part.results for part in landed if part.results]
        if not plan.reused:
            raise AirflowSkipException("no row has the vector of an earlier run")
        return [plan.reused]


def _writing(
    send: Send, spec: BatchSpec, back: WriteBackSection, run: str, states: Sequence[IndexState]
) -> Callable[[DataFile], Written]:
    """Return what writes a results file into the indices, each of them checked before each request."""
    from opensearch_batch.sinks.index import VectorFields, write_vectors
    from opensearch_batch.sources.index_rows import refuse_another
    from opensearch_batch.sources.reread import Reread
    from opensearch_batch.sources.sidecar import open_sidecar
    from opensearch_batch.storage import open_binary

    check: Check = partial(refuse_another, send)
    sidecar = back.provenance_index
    fields = VectorFields(back.vector_field, "" if sidecar else back.provenance, spec.model.name, run)
    texts = Reread(spec, back)
    if sidecar:
        check = _and_the_sidecar(check, send, open_sidecar(send, sidecar, back.vector_field, states))

    def written_of(file: DataFile) -> Written:
        with open_binary(file.uri) as lines:
            return replace(write_vectors(lines, fields, states, send, check, texts, sidecar), results=file.uri)

    return written_of


def _and_the_sidecar(check: Check, send: Send, sidecar: Sidecar) -> Check:
    """Check the index of the provenance too: the cluster makes a missing one at the first write, with a mapping of its
    own.
    """
    from opensearch_batch.sources.sidecar import refuse_another_sidecar

    def checked(states: Sequence[IndexState]) -> None:
        check(states)
        refuse_another_sidecar(send, sidecar)

    return checked
