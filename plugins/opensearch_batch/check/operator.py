"""CheckOperator: the same checks as `python -m opensearch_batch.check`, where tasks run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opensearch_batch.check.lines import Line, lines
from opensearch_batch.check.of_spec import spec_checks
from opensearch_batch.errors import SpecError, Terminal
from opensearch_batch.tasks.base import BatchOperator
from opensearch_batch.tasks.before_paying import pools_of
from opensearch_batch.tasks.partition import placeholders
from opensearch_batch.tasks.settings import TaskSettings

if TYPE_CHECKING:
    from airflow.sdk import Context


class CheckOperator(BatchOperator):
    """Check what a run of the spec needs, a line each in the log: libraries, price, connections, permissions, settings,
    storage, plan. Nothing is made, and nothing is paid. Fails where a line is not ok; returns the lines.

    Needs `spec`. The plan is of the run's own partition, and the pools are those of the DAG's submits.
    """

    def run_step(self, context: Context, settings: TaskSettings) -> list[dict[str, Any]]:
        from opensearch_batch.check.of_airflow import airflow_checks, queues_check, unasked_pool_check

        spec = settings.spec
        if spec is None:
            raise SpecError("CheckOperator needs spec=")
        partition = placeholders(context, spec.input.partition_format)["partition"]
        tasks = list(context["dag"].tasks)
        groups = [
            *spec_checks(spec),
            *airflow_checks(spec, settings, partition),
            unasked_pool_check(pools_of(spec, tasks)),
            [queues_check(sorted({str(task.queue) for task in tasks} or {self.queue}))],
        ]
        found = list(map(self._told, lines(groups)))
        if bad := [line.what for line in found if line.mark == "NOT OK"]:
            raise Terminal(f"{len(bad)} of {len(found)} are not ok, see the log: {', '.join(bad)}")
        return [{"what": line.what, "mark": line.mark, "said": line.said} for line in found]

    def _told(self, line: Line) -> Line:
        (self.log.error if line.mark == "NOT OK" else self.log.info)("%s", line)
        return line
