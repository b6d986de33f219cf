"""Airflow on several machines: two schedulers, triggerers and Celery workers each, an API server, a DAG processor.

Each is a machine to itself as far as processes can be: a folder with its own copy of the DAGs and the package, its own
home and temporary folder, and a loopback address as its name. What they share is PostgreSQL, the broker, and S3, which
the sandbox serves: data and the tasks' logs lie there.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from stack import airflow, sandbox
from stack.broker import Broker
from stack.machine import stack_machine
from stack.processes import StackError
from stack.stack import ApiError, Stack
from stack.vendors import BUCKET, make_bucket

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stack.processes import Part

DATA_URI = f"s3://aws_default@{BUCKET}/data"
LOGS_URI = f"s3://{BUCKET}/airflow-logs"
TASKS_OF_A_WORKER = 2
JOB_TYPES = {"scheduler": "SchedulerJob", "triggerer": "TriggererJob"}
NUMBERED = ("scheduler", "triggerer", "worker")
MACHINES = ("api-server", "dag-processor", *(f"{kind}-{number}" for number in (1, 2) for kind in NUMBERED))
ADDRESSES = {name: f"127.0.0.{11 + number}" for number, name in enumerate(MACHINES)}
"""Each machine's name, as Airflow shows it. What looks for a log at a machine stays on loopback."""


class SeveralMachines(Stack):
    """A Stack whose Airflow runs on MACHINES. Needs the sandbox, whose S3 is the shared place."""

    def folder(self, name: str) -> Path:
        """All that is on the machine's own disk."""
        return self.home.path / "machines" / name

    def healthy(self, name: str) -> bool:
        """Of a scheduler and a triggerer: its own heartbeats, not those of the other. A worker answers its ping."""
        kind = _kind(name)
        if kind not in NUMBERED:
            return super().healthy(name)
        if not self.parts[name].running:
            return False
        return self._answers(name) if kind == "worker" else bool(self._beats(name))

    def _beats(self, name: str) -> list[dict[str, Any]]:
        since = datetime.datetime.fromtimestamp(self.parts[name].started_at, datetime.UTC)
        asked = {"job_type": JOB_TYPES[_kind(name)], "hostname": ADDRESSES[name], "is_alive": True}
        try:
            found = self.api("GET", "/jobs", params=asked | {"start_date_gte": since.isoformat()})
        except (httpx.TransportError, ApiError):
            return []
        return list(found["jobs"])

    def _answers(self, name: str) -> bool:
        from celery import Celery

        assert self._broker is not None
        return bool(Celery(broker=self._broker.url).control.ping([f"celery@{name}"], timeout=1))

    def _make_airflows(self, env: Mapping[str, str]) -> dict[str, Part]:
        _require_celery()
        if not self.sandbox_url:
            raise StackError("several machines need the sandbox, whose S3 they share: --sandbox")
        assert self._postgres is not None
        self.results_place, self.task_logs_place = DATA_URI, LOGS_URI
        self._broker = Broker(self.home, env)
        self.parts["broker"] = self._broker.part
        self._broker.start()
        sandbox.wait_until_ready(self.parts["sandbox"], self.sandbox_url)
        make_bucket(self.sandbox_url)
        shared = {**env, **settings(self._broker.url, self._postgres.url)}
        return {name: self._machine(name, shared) for name in MACHINES}

    def deploy(self, name: str) -> None:
        """The DAGs and the package, anew; other files of the machine stay."""
        folder = self.folder(name)
        for deployed, source in (("dags", self._dags), ("plugins", self._plugins)):
            shutil.rmtree(folder / deployed, ignore_errors=True)
            shutil.copytree(source, folder / deployed, ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "tmp").mkdir(exist_ok=True)

    def _machine(self, name: str, shared: Mapping[str, str]) -> Part:
        self.deploy(name)
        folder, kind = self.folder(name), _kind(name)
        env = {**shared, **machine_environment(name, folder)}
        arguments = ["celery", "worker", "--skip-serve-logs", "--celery-hostname", name]
        if kind != "worker":
            arguments = airflow.COMMANDS[kind]
        return airflow.part(name, arguments, self.home, env, folder, runs_tasks=kind == "worker")


def settings(broker: str, database: str) -> dict[str, str]:
    return {
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__CORE__HOSTNAME_CALLABLE": f"{stack_machine.__name__.rpartition('.')[2]}.address",
        "AIRFLOW__CELERY__BROKER_URL": broker,
        "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{database}",
        "AIRFLOW__CELERY__WORKER_CONCURRENCY": str(TASKS_OF_A_WORKER),
        "AIRFLOW__LOGGING__REMOTE_LOGGING": "True",
        "AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER": LOGS_URI,
        "AIRFLOW__LOGGING__REMOTE_LOG_CONN_ID": "aws_default",
        "BATCH_DATA_URI": DATA_URI,
    }


def _require_celery() -> None:
    """Raise StackError where this Python lacks Airflow's provider for Celery."""
    try:
        importlib.metadata.version("apache-airflow-providers-celery")
    except importlib.metadata.PackageNotFoundError:
        raise StackError(
            f"{sys.executable} has no provider for Celery: make up EXECUTOR=celery, or python -m stack.celery_venv"
        ) from None


def machine_environment(name: str, folder: Path) -> dict[str, str]:
    return {
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(folder / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(folder / "plugins"),
        "HOME": str(folder),
        "TMPDIR": str(folder / "tmp"),
        "PYTHONPATH": str(Path(stack_machine.__file__).parent),
        stack_machine.ADDRESS: ADDRESSES[name],
    }


def _kind(name: str) -> str:
    return name.rstrip("-0123456789")
