"""The compose file without containers: each service's own command, environment and healthcheck, as local processes.

Services start when what they depend on is healthy, or has ended well, as Docker Compose does it. What is not as in the
file stands in substitutes.py.
"""

from __future__ import annotations

import graphlib
import re
import resource
import subprocess
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import psycopg2  # type: ignore[import-untyped]

from stack.airflow import CHECKOUT
from stack.home import Home
from stack.postgres import Postgres
from stack.processes import MARK, Part, end, left_over
from stack.stack import API_SECONDS, ApiError
from tests.compose.clusters import Cluster
from tests.compose.resolved import services
from tests.compose.substitutes import Local, localized

# What listens, as service:port, and the variable that publishes it.
PORTS = {
    "airflow-apiserver:8080": "AIRFLOW_PORT",
    "airflow-scheduler:8974": "",
    "opensearch:9200": "OPENSEARCH_PORT",
    "sandbox:8000": "SANDBOX_PORT",
}
# A batch that ended before the first look would leave the triggerer out.
VARIABLES = {"SANDBOX_PACE": "polls:1", "OPENSEARCH_HEAP": "512m"}
UNITS = {"s": 1, "m": 60, "h": 3600}


class Airflow:
    """The API server, logged in; what stack.run.DagRun asks of a stack."""

    def __init__(self, url: str, password: str) -> None:
        self.url = url
        self.client = httpx.Client(base_url=url, trust_env=False, timeout=API_SECONDS)
        answer = self.client.post("/auth/token", json={"username": "admin", "password": password})
        self.client.headers["Authorization"] = f"Bearer {answer.raise_for_status().json()['access_token']}"

    def api(self, method: str, path: str, json: Any = None, params: Mapping[str, Any] | None = None) -> Any:
        answer = self.client.request(method, f"/api/v2{path}", json=json, params=dict(params or {}))
        if answer.is_error:
            raise ApiError(method, path, answer.status_code, answer.text)
        return answer.json() if answer.content else None


class Rehearsal:
    """As a context manager: every service up and healthy; on leaving, all ended by process id."""

    def __init__(self, folder: Path, env_file: Path, cluster: Cluster) -> None:
        self.home = Home(folder)
        self.cluster = cluster
        self.parts: dict[str, Part] = {}
        self.done: set[tuple[str, str]] = set()
        self.ports: dict[str, int] = {}
        self.services: dict[str, dict[str, Any]] = {}
        self._env_file = env_file
        self._postgres = Postgres(self.home, {MARK: str(self.home.path)})

    def __enter__(self) -> Self:
        self.home.acquire()
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Airflow first, then what it talks to; returns when no process is left."""
        airflows = [part for name, part in self.parts.items() if name.startswith("airflow-")]
        for part in airflows:
            part.ask_to_stop()
        for part in (*airflows, *self.parts.values()):
            part.stop()
        self.cluster.stop()
        self._postgres.stop()
        end(left_over(self.home.path))
        self.home.release()

    def url(self, place: str) -> str:
        """Of what listens at `service:port` in the compose file."""
        return f"http://127.0.0.1:{self.ports[place]}"

    def volume(self, name: str) -> Path:
        return self.home.path / "volumes" / name

    def log_in(self) -> Airflow:
        password = self.services["airflow-init"]["environment"]["AIRFLOW_ADMIN_PASSWORD"]
        return Airflow(self.url("airflow-apiserver:8080"), password)

    def is_healthy(self, name: str) -> bool:
        """What its own healthcheck says, within its time-out as time of the processor: the machine may be busy."""
        local = self._local(name)
        command = local.healthcheck()
        if name == "opensearch":
            command = [re.sub(r"/_cluster/health", self.cluster.health_path, part) for part in command]
        seconds = _seconds(local.service["healthcheck"]["timeout"])
        env = local.environment(self.home.path)
        limited = partial(resource.setrlimit, resource.RLIMIT_CPU, (seconds, seconds))
        with (self.home.logs / f"{name}.health.log").open("ab") as log:
            ended = subprocess.run(command, env=env, stdout=log, stderr=log, preexec_fn=limited, check=False)
        return ended.returncode == 0

    def _start(self) -> None:
        self.ports = {place: self.home.port(place) for place in PORTS}
        published = {variable: str(self.ports[place]) for place, variable in PORTS.items() if variable}
        self.services = services(self._env_file, variables=VARIABLES | published)
        waits = {name: service.get("depends_on", {}) for name, service in self.services.items()}
        for name in graphlib.TopologicalSorter(waits).static_order():
            for other, dependency in waits[name].items():
                self._wait(other, dependency["condition"])
            self._launch(name)
        for name, service in self.services.items():
            if "healthcheck" in service:
                self._wait(name, "service_healthy")

    def _launch(self, name: str) -> None:
        local = self._local(name)
        volumes = [self.volume(mount["source"]) for mount in local.service["volumes"] if mount["type"] == "volume"]
        for folder in (local.folder, *volumes):
            folder.mkdir(parents=True, exist_ok=True)
        if name == "postgres":
            self._postgres.start()
            assert self._postgres.part is not None
            self.parts[name] = self._postgres.part
            self._make_database(local.service["environment"])
        elif name == "opensearch":
            self.parts[name] = self.cluster.launch(local, self.home)
        else:
            # The sandbox image has the package in its working directory.
            folder = CHECKOUT if name == "sandbox" else local.folder
            env, log = local.environment(self.home.path), self.home.logs / f"{name}.log"
            self.parts[name] = Part(name, local.command(), log, env, folder, grace_seconds=3)
            self.parts[name].start()

    def _wait(self, name: str, condition: str) -> None:
        if (name, condition) in self.done:
            return
        if condition == "service_completed_successfully":
            self.parts[name].finish()
        else:
            self.wait_until_healthy(name)
        if name == "opensearch":
            self.cluster.prepare(self.url("opensearch:9200"))
        self.done.add((name, condition))

    def wait_until_healthy(self, name: str) -> None:
        """Raise StackError when it ends, or is stuck."""
        self.parts[name].wait_until(partial(self.is_healthy, name), "is not healthy", pause_seconds=1)

    def _make_database(self, environment: Mapping[str, str]) -> None:
        """As the image's entrypoint does it with these three variables: the role is a superuser."""
        role, database = environment["POSTGRES_USER"], environment["POSTGRES_DB"]
        connection = psycopg2.connect(host=str(self._postgres.socket_dir), user="postgres", dbname="postgres")
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE ROLE {role} SUPERUSER LOGIN PASSWORD %s", (environment["POSTGRES_PASSWORD"],))
            cursor.execute(f"CREATE DATABASE {database} OWNER {role}")
        connection.close()

    def _local(self, name: str) -> Local:
        return localized(name, self.services, self.home.path, self.ports, self._postgres.socket_dir)


def _seconds(duration: str) -> int:
    """Of a duration as Docker Compose prints it: 3m0s."""
    return sum(int(number) * UNITS[unit] for number, unit in re.findall(r"(\d+)([hms])", duration))
