"""What stands in for the OpenSearch image: a real node, or the sandbox's ML Commons."""

from __future__ import annotations

import re
import sys
from typing import Any, Protocol

import httpx
import yaml

from stack.airflow import CHECKOUT
from stack.home import Home
from stack.opensearch.node import Node
from stack.processes import MARK, Part
from tests.compose.resolved import BASE, ROOT
from tests.compose.substitutes import Local

SETTINGS = ROOT / "docker" / "opensearch.yml"
ML_COMMONS = "plugins.ml_commons."


class Cluster(Protocol):
    health_path: str

    def launch(self, local: Local, home: Home) -> Part:
        """Start it on `local`'s port and return at once."""
        ...

    def prepare(self, url: str) -> None:
        """Called once, when it is healthy."""
        ...

    def stop(self) -> None:
        """Returns when nothing of it is left; called also when it was never launched."""
        ...


class RealNode:
    """OpenSearch with docker/opensearch.yml as its settings, and the heap that the compose file gives it."""

    health_path = "/_cluster/health"

    def __init__(self) -> None:
        self._node: Node | None = None

    def launch(self, local: Local, home: Home) -> Part:
        [heap] = re.findall(r"-Xmx(\S+)", local.service["environment"]["OPENSEARCH_JAVA_OPTS"])
        transport = home.port("OpenSearch transport")
        folder = home.path / "opensearch"
        settings = _settings(local)
        self._node = Node(
            _version(), folder, local.ports["9200"], transport, settings=settings, mark=home.path, heap=heap
        )
        self._node.launch()
        assert self._node.part is not None
        return self._node.part

    def prepare(self, url: str) -> None:
        """Its settings are in its file."""

    def stop(self) -> None:
        if self._node is not None:
            self._node.stop()


class SandboxFace:
    """The sandbox with 2.19's answers and its rule against private addresses; settings go in over REST."""

    health_path = "/_sandbox/ready"

    def __init__(self) -> None:
        self._settings: dict[str, Any] = {}

    def launch(self, local: Local, home: Home) -> Part:
        self._settings = {key: value for key, value in _settings(local).items() if key.startswith(ML_COMMONS)}
        command = [sys.executable, "-m", "sandbox", "--port", str(local.ports["9200"]), "--data", str(local.folder)]
        command += ["--profile", _version(), "--private-ip", "refuse"]
        part = Part("opensearch", command, home.logs / "opensearch.log", {MARK: str(home.path)}, CHECKOUT)
        part.start()
        return part

    def prepare(self, url: str) -> None:
        with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
            client.put("/_cluster/settings", json={"persistent": self._settings}).raise_for_status()

    def stop(self) -> None:
        """Its part is all there is of it."""


def _settings(local: Local) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(local.text(SETTINGS.read_text()))
    return read


def _version() -> str:
    [version] = re.findall(r"image: opensearchproject/opensearch:(\S+)", BASE.read_text())
    return str(version)
