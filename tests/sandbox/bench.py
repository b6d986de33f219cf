"""Operators run by hand against the sandbox: a context as Airflow gives it, and what came of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx
from airflow.sdk import DAG
from airflow.sdk.exceptions import TaskDeferred

from opensearch_batch import providers
from opensearch_batch.operators import FetchOutputOperator, PrepareInputOperator, SubmitBatchOperator
from opensearch_batch.sensor import BatchSensor
from opensearch_batch.tasks.wait_trigger import BatchTrigger

if TYPE_CHECKING:
    from airflow.triggers.base import BaseTrigger

KEY = "sk-sandbox-not-a-secret"
MODEL = "text-embedding-3-small"
ML = "/_plugins/_ml"
EVENT_SECONDS = 90
"""No event of a trigger comes later in these tests."""


class Server:
    """The sandbox as a person sees it from outside."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = httpx.Client(base_url=url, trust_env=False, timeout=30)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        response = self.http.request(method, path, json=body)
        assert response.is_success, response.text
        return response.json()

    def fault(self, name: str, **parameters: Any) -> None:
        self.ask("POST", "/_sandbox/faults", {"fault": name, **parameters})

    def no_more_faults(self) -> None:
        self.ask("DELETE", "/_sandbox/faults")

    def pace(self, pace: str) -> None:
        self.ask("POST", "/_sandbox/pace", {"pace": pace})

    @property
    def ledger(self) -> list[dict[str, Any]]:
        """Each job that would have been billed."""
        found: list[dict[str, Any]] = self.ask("GET", "/_sandbox/ledger")
        return found

    @property
    def calls(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask("GET", "/_sandbox/calls")
        return found

    def uploads(self) -> list[dict[str, Any]]:
        response = self.http.get("/v1/files", params={"purpose": "batch"}, headers={"Authorization": f"Bearer {KEY}"})
        found: list[dict[str, Any]] = response.raise_for_status().json()["data"]
        return found

    def upload(self, lines: Iterable[dict[str, Any]]) -> str:
        content = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        response = self.http.post(
            "/v1/files",
            files={"file": ("raw.jsonl", content)},
            data={"purpose": "batch"},
            headers={"Authorization": f"Bearer {KEY}"},
        )
        return str(response.raise_for_status().json()["id"])

    def found(self, kind: str) -> list[dict[str, Any]]:
        """All documents of one kind in the cluster."""
        body = {"size": 1000, "query": {"match_all": {}}}
        hits = self.ask("POST", f"{ML}/{kind}/_search", body)["hits"]["hits"]
        return [{"_id": hit["_id"], **hit["_source"]} for hit in hits]

    @property
    def batch_tasks(self) -> list[dict[str, Any]]:
        return [found for found in self.found("tasks") if found["task_type"] == "BATCH_PREDICTION"]

    def model(
        self,
        endpoint: str = "/v1/embeddings",
        model: str = MODEL,
        key: str = KEY,
        name: str = "by-hand",
        **parameters: Any,
    ) -> str:
        """Registered and deployed by other means than the operators."""
        body = providers.DEFAULT.connector(name, model, endpoint, parameters, f"{self.url}/v1")
        made = self.ask("POST", f"{ML}/connectors/_create", body | {"credential": {"openAI_key": key}})
        register = {"name": name, "function_name": "remote", "connector_id": made["connector_id"]}
        model_id = str(self.ask("POST", f"{ML}/models/_register", register)["model_id"])
        self.ask("POST", f"{ML}/models/{model_id}/_deploy")
        return model_id


class TaskInstance:
    """Remembers XComs by task and key."""

    map_index = -1
    id = UUID(int=2)
    dag_version_id = UUID(int=1)

    def __init__(self, xcoms: dict[tuple[str, str], Any], task_id: str, states: dict[str, str] | None = None) -> None:
        self._xcoms, self.task_id, self._states = xcoms, task_id, states or {}

    def xcom_push(self, key: str, value: Any) -> None:
        self._xcoms[self.task_id, key] = json.loads(json.dumps(value))

    def xcom_pull(self, task_ids: str, key: str = "return_value") -> Any:
        return self._xcoms.get((task_ids, key))

    def get_task_states(self, dag_id: str, task_ids: list[str], run_ids: list[str]) -> dict[str, dict[str, str]]:
        """By run and task id, with the index after it for a mapped one."""
        return {run_id: dict(self._states) for run_id in run_ids}


class StateStore(dict[str, Any]):
    """Airflow's task state store: JSON only, and it outlives a try. As Airflow's it takes no tuple for a list."""

    def set(self, key: str, value: Any) -> None:
        self[key] = json.loads(json.dumps(value))
        assert self[key] == value

    def delete(self, key: str) -> None:
        self.pop(key, None)


class Run:
    """One DAG run: its folder, its XComs, its tasks' state. Operators may be executed as often as one likes."""

    def __init__(self, folder: Path, run_id: str = "manual__2026-01-31T00:00:00+00:00") -> None:
        self.folder, self.run_id = folder, run_id
        self.out = folder / "out"
        self.xcoms: dict[tuple[str, str], Any] = {}
        self.states: dict[str, StateStore] = {}
        self.task_states: dict[str, str] = {}
        self.events: dict[Any, Any] = {}
        self.conf: dict[str, Any] = {}
        self.started_at = datetime.now(UTC)
        self.dag = DAG("by_hand", schedule=None)

    def context(self, operator: Any) -> Any:
        run = SimpleNamespace(
            dag_id="by_hand",
            run_id=self.run_id,
            conf=self.conf,
            run_after=datetime(2026, 1, 31, tzinfo=UTC),
            start_date=self.started_at,
            partition_key=None,
        )
        return {
            "dag": operator.dag if operator.has_dag() else self.dag,
            "dag_run": run,
            "task": operator,
            "ti": (ti := TaskInstance(self.xcoms, operator.task_id, self.task_states)),
            "task_instance": ti,
            "task_state_store": self.states.setdefault(operator.task_id, StateStore()),
            "outlet_events": self.events,
        }

    def execute(self, operator: Any) -> Any:
        """Also hands the result on as XCom does: as JSON."""
        given = {name: getattr(operator, name) for name in operator.template_fields}
        result = operator.execute(self.context(operator))
        assert {name: getattr(operator, name) for name in operator.template_fields} == given, "arguments stay as given"
        return self.returned(operator, result)

    def returned(self, operator: Any, result: Any) -> Any:
        """The result as the next task pulls it."""
        ti = TaskInstance(self.xcoms, operator.task_id)
        ti.xcom_push("return_value", result)
        return ti.xcom_pull(operator.task_id)

    def write(self, rows: Iterable[dict[str, Any]] | bytes, name: str = "in.jsonl") -> str:
        path = self.folder / name
        content = rows if isinstance(rows, bytes) else b"".join(json.dumps(row).encode() + b"\n" for row in rows)
        path.write_bytes(content)
        return f"file://{path}"

    def prepare(self, rows: Iterable[dict[str, Any]] | bytes | str, **settings: Any) -> Any:
        uri = rows if isinstance(rows, str) else self.write(rows)
        defaults = {
            "task_id": "prepare",
            "model": MODEL,
            "model_parameters": {"dimensions": 8},
            "work_uri": f"file://{self.folder}/work",
            "input_uri": uri,
            "dag": DAG("by_hand", schedule=None),
        }
        return self.execute(PrepareInputOperator(**{**defaults, **settings}))

    def submit(self, model_id: str, shards: Any = None, **settings: Any) -> Any:
        return self.execute(SubmitBatchOperator(**submit_settings(model_id, shards) | settings))

    def wait(self, jobs: Any, **settings: Any) -> Any:
        return self.wait_out(sensor(jobs, **settings))

    def wait_out(self, operator: BatchSensor) -> Any:
        """Through triggers that were rebuilt from what Airflow stores, as often as the sensor defers to jobs: a job
        that was turned away goes again, and is waited for anew.
        """
        result = partial(self.execute, operator)
        while True:
            try:
                return result()
            except TaskDeferred as deferred:
                if deferred.method_name != operator.execute_complete.__name__:
                    raise
                event = first_event(rebuilt(deferred.trigger))
                result = partial(self._resumed, operator, event)

    def _resumed(self, operator: BatchSensor, event: Any) -> Any:
        return self.returned(operator, operator.execute_complete(self.context(operator), event))

    def fetch(self, outcomes: Any, **settings: Any) -> Any:
        defaults = {"task_id": "fetch", "outcomes": outcomes, "output_uri": f"file://{self.out}"}
        return self.execute(FetchOutputOperator(**{**defaults, **settings}))

    def through(self, model_id: str, rows: Iterable[dict[str, Any]], **fetch: Any) -> Any:
        return self.fetch(self.wait(self.submit(model_id, self.prepare(rows))), **fetch)

    def landed(self, kind: str) -> dict[str, dict[str, Any]]:
        """Rows by id of all files of this kind that the manifest names."""
        files = [entry for entry in self.manifest["files"] if entry["kind"] == kind]
        rows = [row for entry in files for row in lines_of(entry["uri"])]
        assert len({row["id"] for row in rows}) == len(rows), "each row once"
        return {row["id"]: row for row in rows}

    @property
    def manifest(self) -> dict[str, Any]:
        """The run's own, whether readers follow it or not; the newest of several."""
        found: list[dict[str, Any]] = [json.loads(path.read_bytes()) for path in self.out.glob("manifest-*.json")]
        return max((each for each in found if each["run_id"] == self.run_id), key=lambda each: each["written_at"])

    @property
    def followed(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.out / "manifest.json").read_bytes())
        return found

    def files(self) -> list[str]:
        """All there is at the output, hidden files too."""
        return sorted(path.name for path in self.out.iterdir()) if self.out.exists() else []


def submit_settings(model_id: str, shards: Any) -> dict[str, Any]:
    return {"task_id": "submit", "model_id": model_id, "shards": shards, "settle_seconds": 0.2, "retries": 3}


def sensor(jobs: Any, **settings: Any) -> BatchSensor:
    return BatchSensor(**{"task_id": "wait", "jobs": jobs, "poke_interval": 0.05, **settings})


def rebuilt(trigger: Any) -> BatchTrigger:
    """From what Airflow keeps of it in its database."""
    _, arguments = trigger.serialize()
    return BatchTrigger(**json.loads(json.dumps(arguments)))


def first_event(trigger: BaseTrigger) -> Any:
    async def first() -> Any:
        return await asyncio.wait_for(anext(trigger.run()), EVENT_SECONDS)

    return json.loads(json.dumps(asyncio.run(first()).payload))


def timeless(outcomes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without the time of the look."""
    return [{name: value for name, value in outcome.items() if name != "seen_at"} for outcome in outcomes]


def lines_of(uri: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(uri.removeprefix("file://")).read_bytes().splitlines()]


def rows_of(count: int) -> list[dict[str, Any]]:
    return [{"id": f"row-{n}", "text": f"text number {n}"} for n in range(count)]
