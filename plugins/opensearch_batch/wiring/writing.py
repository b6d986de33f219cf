"""Writing back: the tasks that write vectors into the index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow.sdk import TriggerRule

from opensearch_batch.operators import WriteBackOperator, WriteChunksOperator

REUSED = "Writes vectors that an earlier run has paid for; skipped where there are none."
WRITTEN = "Writes the vectors of the stragglers; skipped where there are none."
CHUNKS = "Writes each document once all of its chunks have vectors; skipped where the spec has no `input.chunks`."


@dataclass(frozen=True)
class Writing:
    """Tasks that write into the index that the run has read, or into `new_index` beside it."""

    spec: Any
    plan: Any
    new_index: Any = None

    def of_reused(self) -> WriteBackOperator:
        return WriteBackOperator(task_id="write_reused", spec=self.spec, plan=self.plan, doc_md=REUSED, **self._into)

    def of_bundle(self, landed: Any, **named: Any) -> WriteBackOperator:
        return WriteBackOperator(
            task_id="write_back", spec=self.spec, landed=landed, plan=self.plan, **self._into, **named
        )

    def of_stragglers(self, landed: Any) -> WriteBackOperator:
        return WriteBackOperator(
            task_id="write_stragglers", spec=self.spec, landed=landed, plan=self.plan, doc_md=WRITTEN, **self._into
        )

    def of_chunks(self, ends: dict[str, Any]) -> WriteChunksOperator:
        """`ends` name the tasks where rows have ended."""
        rule = TriggerRule.ALL_DONE
        return WriteChunksOperator(task_id="write_chunks", trigger_rule=rule, doc_md=CHUNKS, **ends, **self._into)

    @property
    def _into(self) -> dict[str, Any]:
        return {} if self.new_index is None else {"new_index": self.new_index}
