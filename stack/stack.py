"""The whole: sandbox, PostgreSQL and Airflow's four processes on one home, started together and taken down together.

With ``opensearch`` a real OpenSearch is the cluster, and the sandbox only the provider.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import httpx

from stack import airflow, connections, sandbox
from stack.airflow import CHECKOUT
from stack.home import Home
from stack.opensearch import java, layout
from stack.opensearch.node import Node
from stack.pools import make_pools
from stack.postgres import Postgres
from stack.processes import Part, StackError, end, left_over

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path
    from types import TracebackType


# For one answer. On a busy machine the first of its kind may take a minute.
API_SECONDS = 300.0
# An idle connection, at most: the API server closes it after five, and a call on its way at that moment is lost.
KEPT_SECONDS = 2.0


class ApiError(StackError):
    """The REST API's answer was an error."""

    def __init__(self, method: str, path: str, status: int, body: str) -> None:
        super().__init__(f"{method} {path}: HTTP {status} {body[:500]}")
        self.status = status


class Stack:
    """Use as a context manager; one at a time on a home.

    ``plugins`` is the checkout's folder, or none where the wheel is installed (``make demo WHEEL=1``).
    ``with_sandbox=False`` leaves the connections to the caller's own ``AIRFLOW_CONN_*``. ``opensearch`` is the version
    of a real node (stack/opensearch). ``settings`` are further environment variables for Airflow.
    ``on_step(what, seconds)`` is called when a step of the start is done.
    """

    def __init__(
        self,
        home: Path,
        *,
        dags: Path = CHECKOUT / "dags",
        plugins: Path | None = None,
        with_sandbox: bool = True,
        opensearch: str | None = None,
        pace: str = "instant",
        settings: Mapping[str, str] | None = None,
        on_step: Callable[[str, float], None] = lambda what, seconds: None,
    ) -> None:
        self.home = Home(home)
        self.parts: dict[str, Part] = {}
        self.airflows: dict[str, Part] = {}
        self.results_place = str(self.home.data)
        self.task_logs_place = str(self.home.airflow / "logs")
        self.url = ""
        self.sandbox_url = ""
        self.cluster_url = ""
        self._opensearch = opensearch
        self._node: Node | None = None
        self._dags = dags
        self._plugins = plugins or airflow.plugins_folder(self.home)
        self._with_sandbox = with_sandbox
        self._pace = pace
        self._settings = dict(settings or {})
        self._on_step = on_step
        self._postgres: Postgres | None = None
        self._http: httpx.Client | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Return when every part is healthy; on failure take down what was started and raise StackError."""
        self.home.acquire()
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Airflow first, then what it talks to; returns when no process is left."""
        if self._http is not None:
            self._http.close()
        for part in self.airflows.values():
            part.ask_to_stop()
        for part in (*self.airflows.values(), *self.parts.values()):
            part.stop()
        if self._node is not None:
            self._node.stop()
        if self._postgres is not None:
            self._postgres.stop()
        self.home.release()

    def start_part(self, name: str) -> None:
        """Start one part again and wait until it is healthy."""
        self.parts[name].start()
        if name in self.airflows:
            self.wait_until_healthy([name])
        elif name == "sandbox":
            sandbox.wait_until_ready(self.parts[name], self.sandbox_url)

    def stop_part(self, name: str) -> None:
        self.parts[name].stop()

    def kill_part(self, name: str) -> None:
        """SIGKILL, its children too."""
        self.parts[name].kill()

    def kill_database(self) -> None:
        if self._postgres is not None:
            self._postgres.kill()

    def start_database(self) -> None:
        """And what of Airflow's has ended without it so far."""
        if self._postgres is not None:
            self._postgres.start_again()
        self.start_ended()

    def check(self) -> None:
        """Raise StackError, with the end of the log, for a part that ended by itself."""
        for part in self.parts.values():
            part.check()

    def start_ended(self) -> None:
        """Start Airflow's parts that have ended, as a machine's service manager would."""
        for name in airflow.COMMANDS:
            if not self.parts[name].running:
                self.start_part(name)

    def api(self, method: str, path: str, json: Any = None, params: Mapping[str, Any] | None = None) -> Any:
        """Call Airflow's REST API, ``path`` below ``/api/v2``; raises ApiError for an error answer."""
        if self._http is None:
            raise StackError("the stack is not started")
        answer = self._http.request(method, f"/api/v2{path}", json=json, params=dict(params or {}))
        if answer.is_error:
            raise ApiError(method, path, answer.status_code, answer.text)
        return answer.json() if answer.content else None

    def ask(self, path: str) -> httpx.Response:
        """The answer to a GET, an error too. On a connection of its own: after some answers the server closes it, and
        a call on its way at that moment is lost.
        """
        if self._http is None:
            raise StackError("the stack is not started")
        return self._http.get(path, headers={"Connection": "close"})

    @property
    def database_url(self) -> str:
        """Of Airflow's tables, as SQLAlchemy takes it."""
        if self._postgres is None:
            raise StackError("the stack is not started")
        return self._postgres.url

    def page(self, url: str) -> str:
        """The text at an address of the UI, for a person who is logged in."""
        if self._http is None:
            raise StackError("the stack is not started")
        return self._http.get(url).raise_for_status().text

    def healthy(self, name: str) -> bool:
        """Whether one of Airflow's parts has answered, or sent a heartbeat, since it was last started."""
        part = self.parts[name]
        try:
            health = self.api("GET", "/monitor/health")
        except (httpx.TransportError, ApiError):
            return False
        if name == "api-server":
            return part.running
        key = name.replace("-", "_")
        beat = health[key].get(f"latest_{key}_heartbeat")
        if not part.running or not beat or health[key]["status"] != "healthy":
            return False
        return datetime.datetime.fromisoformat(beat).timestamp() >= part.started_at

    def wait_until_healthy(self, names: Iterable[str]) -> None:
        for name in names:
            self.parts[name].wait_until(partial(self.healthy, name), "is not healthy", pause_seconds=0.2)

    def _start(self) -> None:
        end(left_over(self.home.path))
        env = airflow.base_environment(self.home)
        began = time.monotonic()
        began_node = time.monotonic()
        if self._opensearch:
            self._launch_node(self._opensearch)
        if self._with_sandbox:
            began_sandbox = time.monotonic()
            self._start_sandbox(env)
        if self.cluster_url:
            env |= connections.cluster(self.cluster_url)
        self._postgres = Postgres(self.home, env)
        self._postgres.start()
        self._done("PostgreSQL", began)
        port = self.home.port("Airflow")
        self.url = f"http://127.0.0.1:{port}"
        if version := airflow.wheel_version():
            self._on_step(f"opensearch-batch {version} from its wheel", 0.0)
        env |= airflow.settings(self.home, self._postgres.url, port, self._dags, self._plugins)
        env |= self._settings
        self.airflows = self._make_airflows(env)
        self.parts |= self.airflows
        # It takes longest to load and looks at no table before it is asked for something.
        self.parts["api-server"].start()
        self._migrate(env)
        began = time.monotonic()
        for name in self.airflows:
            if name != "api-server":
                self.parts[name].start()
        if self._with_sandbox:
            sandbox.wait_until_ready(self.parts["sandbox"], self.sandbox_url)
            self._done(f"sandbox on {self.sandbox_url}", began_sandbox)
        if self._node is not None:
            self._node.wait_until_ready()
            self._done(f"OpenSearch {self._node.version} on {self.cluster_url}", began_node)
        limits = httpx.Limits(keepalive_expiry=KEPT_SECONDS)
        self._http = httpx.Client(base_url=self.url, trust_env=False, timeout=API_SECONDS, limits=limits)
        self.wait_until_healthy(self.airflows)
        # Everyone is admin here, so a token costs no password. It lasts a day.
        token = self._http.get("/auth/token").raise_for_status().json()["access_token"]
        self._http.headers["Authorization"] = f"Bearer {token}"
        make_pools(self._http, self._dags)
        self._done(f"Airflow on {self.url}", began)

    def _make_airflows(self, env: Mapping[str, str]) -> dict[str, Part]:
        """Airflow's parts by name, "api-server" among them; ``env`` is what they share."""
        return airflow.parts(self.home, env)

    def _start_sandbox(self, env: dict[str, str]) -> None:
        port = self.home.port("sandbox")
        self.sandbox_url = f"http://127.0.0.1:{port}"
        self.cluster_url = self.cluster_url or self.sandbox_url
        env |= connections.provider(self.sandbox_url)
        self.parts["sandbox"] = sandbox.part(self.home, env, port, self._pace)
        self.parts["sandbox"].start()

    def _launch_node(self, version: str) -> None:
        """It takes ten seconds to start: others start meanwhile."""
        java.java_home(layout.release(version))
        began = time.monotonic()
        fetched = not layout.home_of(version).exists()
        layout.laid_out(version)
        if fetched:
            self._done(f"OpenSearch {version} fetched into {layout.home_of(version)}", began)
        port, transport = self.home.port("OpenSearch"), self.home.port("OpenSearch transport")
        self._node = Node(version, self.home.path / f"opensearch-{version}", port, transport, mark=self.home.path)
        self._node.launch()
        assert self._node.part is not None
        self.parts["opensearch"] = self._node.part
        self.cluster_url = self._node.url

    def _migrate(self, env: Mapping[str, str]) -> None:
        """Only for a new database or another Airflow: finding out costs Airflow itself six seconds."""
        done = self.home.postgres / "airflow-version"
        version = importlib.metadata.version("apache-airflow-core")
        if done.exists() and done.read_text() == version:
            return
        began = time.monotonic()
        migration = airflow.migration(self.home, env)
        self.parts[migration.name] = migration
        migration.start()
        migration.finish()
        del self.parts[migration.name]
        done.write_text(version)
        self._done("Airflow's tables", began)

    def _done(self, what: str, began: float) -> None:
        self._on_step(what, time.monotonic() - began)
