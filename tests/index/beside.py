"""A whole run that fills a new index beside an alias's, task by task, and what the alias leads to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from airflow.sdk import DAG

from opensearch_batch.operators import (
    CarryOverOperator,
    CopyDocumentsOperator,
    MakeIndexOperator,
    PrepareInputOperator,
    ReportOperator,
    RollbackOperator,
    SwapAliasOperator,
    WriteBackOperator,
    WriteChunksOperator,
)
from tests.index.bench import DIMENSIONS, Cluster, Fill, Index

ALIAS = "live"
OLD: dict[str, Any] = {
    "vector": [0.5] * DIMENSIONS,
    "vector_provenance": {"model": "old", "text_hash": "of-old", "run": "of-old"},
}
"""What the documents have of a model that is to go."""


def nothing() -> None: ...


@dataclass
class Beside(Fill):
    """Reads by an alias of the index. `run` names it, so that another Beside with the same run is its next try."""

    made: dict[str, Any] = field(default_factory=dict)
    alias: str = ALIAS
    made_by: str = "make_index"

    @property
    def spec(self) -> dict[str, Any]:
        spec = super().spec
        uri = f"opensearch://corpus/{self.alias}"
        return {
            **spec,
            "input": {**spec["input"], "uri": uri, **self._of("input")},
            "write_back": {"mode": "beside", **spec["write_back"]},
            "dry_run": self.settings.get("dry_run", False),
        }

    @property
    def resolved(self) -> dict[str, Any]:
        found: dict[str, Any] = self.run.xcoms[self.prepared_by, "spec"]
        return found

    @property
    def new(self) -> Any:
        return self.run.xcoms.get((self.made_by, "new_index"))

    @property
    def new_index(self) -> Index:
        return Index(self.index.cluster, self.new["state"]["index"])

    def make(self) -> dict[str, Any]:
        operator = MakeIndexOperator(task_id=self.made_by, spec=self.spec, dag=DAG("by_hand", schedule=None))
        self.made = self.run.execute(operator)
        if self.new:
            self.index.cluster.names.append(self.new_index.name)
        return self.made

    def copy(self) -> Any:
        return self.run.execute(CopyDocumentsOperator(task_id="copy", spec=self.spec, new_index=self.new))

    def prepare(self) -> Any:
        dag = DAG("by_hand", schedule=None)
        return self.run.execute(
            PrepareInputOperator(task_id=self.prepared_by, spec=self.spec, overrides=self.made, dag=dag)
        )

    def write(self, landed: Any) -> Any:
        return self.run.execute(
            WriteBackOperator(
                task_id="write_back", spec=self.resolved, landed=landed, plan=self.plan, new_index=self.new
            )
        )

    def write_chunks(self, landed: Any) -> Any:
        operator = WriteChunksOperator(
            task_id="write_chunks", planned_by=self.prepared_by, landed=[landed], new_index=self.new
        )
        return self.run.execute(operator)

    def write_reused(self) -> Any:
        return self.run.execute(
            WriteBackOperator(task_id="write_reused", spec=self.resolved, plan=self.plan, new_index=self.new)
        )

    def carry(self) -> Any:
        operator = CarryOverOperator(task_id="carry", spec=self.resolved, new_index=self.new, plan=self.plan)
        over = self.run.execute(operator)
        self.run.xcoms["carry", "return_value"] = over
        return over

    def swap(self) -> Any:
        over = self.run.xcoms["carry", "return_value"]
        swapped = self.run.execute(
            SwapAliasOperator(task_id="swap", spec=self.resolved, new_index=self.new, carried_over=over, plan=self.plan)
        )
        self.run.xcoms["swap", "return_value"] = swapped
        return swapped

    def report(self, landed: Any) -> dict[str, Any]:
        operator = ReportOperator(
            task_id="report",
            planned_by=self.prepared_by,
            landed=[landed] if landed else [],
            written_by=["write_back", "write_reused", "write_chunks"],
            swapped_by="swap",
            approved_by="approve",
        )
        found: dict[str, Any] = self.run.execute(operator)
        return found

    def filled(self) -> Any:
        """As far as all vectors are in the new index."""
        self.make()
        self.copy()
        shards = self.prepare()
        landed = self.land(shards) if shards else None
        if "chunks" in self._of("input"):
            self.write_chunks(landed)
            return landed
        if landed:
            self.write(landed)
        if self.plan.get("reused"):
            self.write_reused()
        return landed

    def through(self, between: Callable[[], None] = nothing, before_swap: Callable[[], None] = nothing) -> Any:
        landed = self.filled()
        between()
        self.carry()
        before_swap()
        self.swap()
        return self.report(landed)

    def back(self, **settings: Any) -> Any:
        return self.run.execute(RollbackOperator(task_id="back", spec=self.spec, **settings))


def lead(cluster: Cluster, alias: str, index: Index, **rule: Any) -> None:
    """Add the index to an alias."""
    cluster.ok("POST", "/_aliases", {"actions": [{"add": {"index": index.name, "alias": alias, **rule}}]})


def behind(cluster: Cluster, alias: str = ALIAS) -> set[str]:
    """The indices of an alias."""
    return set(cluster.ok("GET", f"/_alias/{alias}"))
