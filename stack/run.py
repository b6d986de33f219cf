"""One DAG run, seen and driven through Airflow's REST API as a user's own tool would."""

from __future__ import annotations

import datetime
import json
import urllib.parse
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import httpx

from stack.patience import Patience
from stack.processes import StackError
from stack.stack import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stack.stack import Stack

ENDED = {"success", "failed"}
IDLE_SECONDS = 180.0


def wait_for_dag(stack: Stack, dag_id: str, seconds: float = 60.0) -> None:
    """Until the dag-processor has stored it; the DAG files' own import errors if no more come for ``seconds``."""
    patience = Patience(seconds, lambda: stack.api("GET", "/dags", params={"limit": 1})["total_entries"])
    if not any(patience.looks(lambda: _is_stored(stack, dag_id))):
        errors = stack.api("GET", "/importErrors")["import_errors"]
        found = "\n".join(f"{error['filename']}: {error['stack_trace']}" for error in errors)
        raise StackError(f"there is no DAG {dag_id}. {found or 'No DAG file failed.'}")


def end_unfinished(stack: Stack, dag_id: str) -> list[str]:
    """Mark runs failed that an interrupted stack left under way, and return their ids.

    Their tasks have no process any more; Airflow itself would notice after five minutes.
    """
    runs = stack.api("GET", f"/dags/{dag_id}/dagRuns", params={"state": ["queued", "running"]})["dag_runs"]
    for run in runs:
        stack.api("PATCH", DagRun(stack, dag_id, run["dag_run_id"]).path, {"state": "failed"})
    return [run["dag_run_id"] for run in runs]


@dataclass(frozen=True)
class DagRun:
    stack: Stack
    dag_id: str
    run_id: str

    @classmethod
    def trigger(
        cls,
        stack: Stack,
        dag_id: str,
        conf: Mapping[str, Any] | None = None,
        logical_date: datetime.datetime | None = None,
    ) -> Self:
        """Wait for the DAG, unpause it and start a run; without a logical date, as a click in the UI can."""
        wait_for_dag(stack, dag_id)
        stack.api("PATCH", f"/dags/{dag_id}", {"is_paused": False})
        body = {"logical_date": logical_date.isoformat() if logical_date else None, "conf": dict(conf or {})}
        return cls(stack, dag_id, stack.api("POST", f"/dags/{dag_id}/dagRuns", body)["dag_run_id"])

    @property
    def path(self) -> str:
        return f"/dags/{self.dag_id}/dagRuns/{urllib.parse.quote(self.run_id, safe='')}"

    @property
    def url(self) -> str:
        """The run's page in the UI."""
        return f"{self.stack.url}/dags/{self.dag_id}/runs/{urllib.parse.quote(self.run_id, safe='')}"

    def state(self) -> str:
        return str(self.stack.api("GET", self.path)["state"])

    def wait(self, idle_seconds: float = IDLE_SECONDS) -> str:
        """Its final state; raises StackError, with the tasks' states, if none changes for ``idle_seconds``."""
        for state in Patience(idle_seconds, self.progress).looks(self.state):
            if state in ENDED:
                return state
        tasks = {task["task_id"]: task["state"] for task in self.tasks()}
        stuck = f"is {state}, and nothing of it moved for {idle_seconds:.0f} s"
        raise StackError(f"{self.dag_id} {self.run_id} {stuck}: {tasks}")

    def progress(self) -> list[tuple[object, ...]]:
        """What changes while the run gets on; ``~`` as the run's id means all runs of the DAG."""
        moving = ("dag_run_id", "task_id", "map_index", "state", "try_number")
        return [tuple(task[name] for name in moving) for task in self.tasks()]

    def tasks(self) -> list[dict[str, Any]]:
        """Every task instance of the run as the API has it: task_id, map_index, state, try_number, ..."""
        found: list[dict[str, Any]] = []
        while True:
            page = self.stack.api("GET", f"{self.path}/taskInstances", params={"limit": 100, "offset": len(found)})
            found += page["task_instances"]
            if not page["task_instances"] or len(found) >= page["total_entries"]:
                return found

    def xcom(self, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        """The value, or None where the task has not pushed it."""
        path = f"{self.path}/taskInstances/{task_id}/xcomEntries/{key}"
        try:
            value = self.stack.api("GET", path, params={"map_index": map_index})["value"]
        except ApiError as error:
            if error.status == httpx.codes.NOT_FOUND:
                return None
            raise
        return _parsed(value)

    def xcom_keys(self, task: Mapping[str, Any]) -> list[str]:
        """What one of ``tasks()`` has pushed."""
        path = f"{self.path}/taskInstances/{task['task_id']}/xcomEntries"
        found = self.stack.api("GET", path, params={"map_index": task["map_index"]})["xcom_entries"]
        return [entry["key"] for entry in found]

    def log(self, task: Mapping[str, Any], lines: int = 20) -> list[str]:
        """The end of the log of one of ``tasks()``, its last try, without the marks that fold it in the UI."""
        path = f"{self.path}/taskInstances/{task['task_id']}/logs/{max(1, task['try_number'])}"
        params = {"map_index": task["map_index"], "full_content": True}
        written = [_log_line(entry) for entry in self.stack.api("GET", path, params=params)["content"]]
        return [line for line in written if "::group::" not in line and "::endgroup::" not in line][-lines:]


def _is_stored(stack: Stack, dag_id: str) -> bool:
    try:
        stack.api("GET", f"/dags/{dag_id}")
    except ApiError as error:
        if error.status == httpx.codes.NOT_FOUND:
            return False
        raise
    return True


def _parsed(value: Any) -> Any:
    """An XCom comes as JSON, or as the JSON's text, depending on how it was stored."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return value


def _log_line(entry: Any) -> str:
    if not isinstance(entry, dict):
        return str(entry)
    line = f"{str(entry.get('timestamp') or '')[11:19]} {entry.get('level') or ''} {entry.get('event', '')}".strip()
    causes = [f"{cause['exc_type']}: {cause['exc_value']}" for cause in entry.get("error_detail") or []]
    return ": ".join([line, *causes])
