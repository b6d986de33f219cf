"""RollbackOperator: an alias leads to the index again that it led to before the last swap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opensearch_batch.errors import SpecError
from opensearch_batch.tasks.base import BatchOperator, cluster
from opensearch_batch.tasks.beside import fields_of
from opensearch_batch.tasks.closing import run_name
from opensearch_batch.tasks.partition import placeholders
from opensearch_batch.tasks.settings import TaskSettings

if TYPE_CHECKING:
    from airflow.sdk import Context


class RollbackOperator(BatchOperator):
    """Move the alias of a spec's input back to the kept index, in one request; return what was done.

    What was edited, added and deleted since the swap is brought back too: a document whose text is another than in the
    kept index has no vector there until the next run in place. Fails, and leaves the alias alone, where nothing is
    kept, or somebody else has moved the alias since. The newer index stays. Repeating is safe.

    :param spec: the spec of the run that swapped, with the alias as its input.
    :param carry_edits: False goes back at once to the documents as they were; what was edited since is in the newer
        index alone.
    """

    def __init__(self, *, carry_edits: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.carry_edits = carry_edits

    def run_step(self, context: Context, settings: TaskSettings) -> dict[str, Any]:
        from opensearch_batch.beside.going_back import way_back
        from opensearch_batch.beside.moving import move
        from opensearch_batch.flow.beside import Swapped
        from opensearch_batch.sources.index_rows import address_of

        spec = settings.spec
        if spec is None or spec.write_back is None:
            raise SpecError("RollbackOperator needs spec= with write_back")
        connection, alias = address_of(spec.resolve(**placeholders(context, spec.input.partition_format)).input.uri)
        send = cluster(connection)
        back = way_back(send, alias, run_name(context), fields_of(spec, spec.write_back), carries=self.carry_edits)
        done = move(send, back, lambda carried, until: None)
        kept, newer = back.target.index, back.since.index
        bare = done.before.without_vector + done.after.without_vector
        documents = _documents(send, kept)
        swapped = Swapped(alias, kept, newer, documents, bare, done.before, done.after, round(done.seconds, 3))
        self.log.info("%s", swapped)
        return swapped.to_dict()


def _documents(send: Any, index: str) -> int:
    from opensearch_batch.cluster.documents import count_documents, refresh

    send(refresh(index))
    counted: int = send(count_documents(index, {"match_all": {}}))
    return counted
