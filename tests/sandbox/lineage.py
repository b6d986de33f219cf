"""A run whose tasks tell their lineage, by Airflow's OpenLineage provider and the client's own file transport."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

from airflow.providers.openlineage.extractors import ExtractorManager
from airflow.providers.openlineage.plugins.adapter import OpenLineageAdapter
from airflow.utils.state import TaskInstanceState
from openlineage.client import OpenLineageClient
from openlineage.client.transport.file import FileConfig, FileTransport

from tests.sandbox.bench import Run


class ToldRun(Run):
    """As Airflow's listener does when a task has succeeded, but in the same process."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        super().__init__(folder, **settings)
        self.sent = folder / "lineage.jsonl"
        transport = FileTransport(FileConfig(log_file_path=str(self.sent), append=True))
        self._adapter = OpenLineageAdapter(client=OpenLineageClient(transport=transport))

    def returned(self, operator: Any, result: Any) -> Any:
        self._tell(operator)
        return super().returned(operator, result)

    def _tell(self, operator: Any) -> None:
        run = SimpleNamespace(run_id=self.run_id)
        extractors = ExtractorManager()  # type: ignore[no-untyped-call]
        found = extractors.extract_metadata(run, operator, TaskInstanceState.SUCCESS, task_instance=None)
        self._adapter.complete_task(
            run_id=str(uuid4()),
            job_name=f"by_hand.{operator.task_id}",
            end_time=datetime.now(UTC).isoformat(),
            task=found,
            nominal_start_time=None,
            nominal_end_time=None,
            owners=None,
            tags=None,
            job_description=None,
        )

    def event(self, task_id: str) -> dict[str, Any]:
        """The task's one."""
        events = [json.loads(line) for line in self.sent.read_text().splitlines()]
        [event] = [each for each in events if each["job"]["name"] == f"by_hand.{task_id}"]
        return dict(event)

    def told(self, task_id: str) -> dict[str, list[str]]:
        """What the task's event says of its inputs and outputs, in short."""
        event = self.event(task_id)
        return {side: [in_short(each) for each in event[side]] for side in ("inputs", "outputs")}


def in_short(dataset: dict[str, Any]) -> str:
    """`namespace name`, then the type of what is no data, or the counts."""
    counts = {**dataset.get("inputFacets", {}), **dataset.get("outputFacets", {})}
    facet: dict[str, Any] = next(iter(counts.values()), {})
    told = [f"{facet[name]} {word}" for name, word in (("rowCount", "rows"), ("fileCount", "files")) if name in facet]
    kinds = [
        "/".join(facet[name] for name in ("datasetType", "subType") if name in facet)
        for facet in dataset["facets"].values()
    ]
    return " ".join([dataset["namespace"], dataset["name"], *kinds, *told])
