"""One node: its settings, its process, and when it is ready."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx
import psutil  # type: ignore[import-untyped]
import yaml

from stack.opensearch import java, layout
from stack.opensearch.account import Account
from stack.processes import MARK, Part

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

HEAP = "512m"
SOON_READY = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""A start in half of the time; what runs for minutes, as the building of graphs, is several times slower."""
AS_RELEASED = ("-XX:+UseG1GC",)
# Providers a connector may call: OpenAI, and the sandbox on loopback or on a TEST-NET address.
TRUSTED = (r"^https://api\.openai\.com/.*$", r"^http://127\.0\.0\.1:.*$", r"^http://198\.51\.100\.\d+:.*$")
ML_SETTINGS: dict[str, Any] = {
    "plugins.ml_commons.only_run_on_ml_node": False,
    "plugins.ml_commons.trusted_connector_endpoints_regex": list(TRUSTED),
    "plugins.ml_commons.connector.private_ip_enabled": True,
    "plugins.ml_commons.max_batch_inference_tasks": 100,
}


@dataclass
class Node:
    """Start with ``start()`` or as a context manager; it ends with the process that started it, even by SIGKILL.

    ``home`` keeps its data: the same home again is the same cluster. ``settings`` go over the defaults, None takes one
    away. ``login`` and ``ca`` are for a secured node: user and password of the health check, and the authority that
    signed its certificate. Nodes may share an ``account`` that was made before; ``mark`` is the home of the stack they
    belong to (stack/processes.py).
    """

    version: str
    home: Path
    http_port: int
    transport_port: int
    address: str = "127.0.0.1"
    name: str = "node-0"
    settings: Mapping[str, Any] = field(default_factory=dict)
    login: tuple[str, str] | None = None
    ca: Path | None = None
    account: Account | None = None
    mark: Path | None = None
    heap: str = HEAP
    java_options: tuple[str, ...] = SOON_READY
    part: Part | None = field(default=None, init=False)
    _own_account: Account = field(default_factory=Account, init=False)

    @property
    def url(self) -> str:
        return f"{'https' if self.ca else 'http'}://{self.address}:{self.http_port}"

    @property
    def log(self) -> Path:
        return self.home / "console.log"

    def client(self, login: tuple[str, str] | None = None) -> httpx.Client:
        """To it, as this user or as the one of the health check."""
        verify = ssl.create_default_context(cafile=str(self.ca)) if self.ca else True
        return httpx.Client(base_url=self.url, auth=login or self.login, verify=verify, trust_env=False, timeout=60)

    def launch(self) -> None:
        """Start the process and return at once; the first time the release may have to be fetched."""
        java_home = java.java_home(layout.release(self.version))
        distribution = layout.laid_out(self.version)
        command = self._command(distribution, java_home)
        self._write_settings(distribution)
        account = self.account or self._own_account
        if account.name is None:
            account.make()
        account.own(self.home)
        # Only what it needs: connections and keys of the caller's environment are no business of the server.
        env = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        env |= {"HOME": str(self.home), MARK: str(self.mark or self.home)}
        self.part = Part(self.name, command, self.log, env, self.home, grace_seconds=10, user=account.name)
        self.part.start()

    def wait_until_ready(self) -> None:
        """Healthy enough to take an index; raises StackError, with the end of its log, if it ends or is stuck."""
        assert self.part is not None
        with self.client() as client:
            self.part.wait_until(lambda: _is_healthy(client), "is not healthy")

    def start(self) -> Self:
        """Return when it is ready."""
        try:
            self.launch()
            self.wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        if self.part is not None:
            self.part.stop()
        self._own_account.remove()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def resident_mb(self) -> float:
        """Resident memory of the process, in MB of a million bytes."""
        assert self.part is not None
        assert self.part.pid is not None
        return float(psutil.Process(self.part.pid).memory_info().rss) / 1e6

    def _write_settings(self, distribution: Path) -> None:
        for folder in ("config", "data", "logs", "tmp"):
            (self.home / folder).mkdir(parents=True, exist_ok=True)
        own = {
            "cluster.name": "opensearch-batch",
            "node.name": self.name,
            "network.host": self.address,
            "http.port": self.http_port,
            "transport.port": self.transport_port,
            "path.data": str(self.home / "data"),
            "path.logs": str(self.home / "logs"),
            # On a developer's full disk indices would turn read-only.
            "cluster.routing.allocation.disk.threshold_enabled": False,
        }
        if "discovery.seed_hosts" not in self.settings:
            own["discovery.type"] = "single-node"
        written = {key: value for key, value in {**own, **ML_SETTINGS, **self.settings}.items() if value is not None}
        (self.home / "config" / "opensearch.yml").write_text(yaml.safe_dump(written))
        log4j = (distribution / "config" / "log4j2.properties").read_text()
        (self.home / "config" / "log4j2.properties").write_text(log4j)

    def _command(self, distribution: Path, java_home: Path) -> list[str]:
        options = [f"-Xms{self.heap}", f"-Xmx{self.heap}", *self.java_options]
        options += [f"-Djava.io.tmpdir={self.home / 'tmp'}", f"-Dopensearch.path.home={distribution}"]
        options += [f"-Dopensearch.path.conf={self.home / 'config'}", "-Dopensearch.distribution.type=tar"]
        # As the distribution's own jvm.options and start script set them.
        options += ["-Djna.nosys=true", "-Dlog4j.shutdownHookEnabled=false", "-Dlog4j2.disable.jmx=true"]
        options += ["-Dio.netty.noUnsafe=true", "-Dio.netty.noKeySetOptimization=true"]
        options += ["-Dio.netty.recycler.maxCapacityPerThread=0", "-Dopensearch.bundled_jdk=false"]
        agents = sorted((distribution / "agent").glob("opensearch-agent-[0-9]*.jar"))
        options += [f"-javaagent:{agent}" for agent in agents] or ["-Djava.security.manager=allow"]
        if java.has_module(java_home, "jdk.incubator.vector"):
            options.append("--add-modules=jdk.incubator.vector")
        classes = [str(java_home / "bin" / "java"), *options, "-cp", f"{distribution / 'lib'}/*"]
        return [*classes, "org.opensearch.bootstrap.OpenSearch"]


def _is_healthy(client: httpx.Client) -> bool:
    try:
        answer = client.get("/_cluster/health", params={"wait_for_status": "yellow", "timeout": "1s"}, timeout=5)
    except httpx.TransportError:
        return False
    return answer.status_code == httpx.codes.OK
