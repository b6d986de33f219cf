"""Real OpenSearch servers: one node a version for all tests that need nothing special of it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stack import namespace
from stack.home import free_port
from stack.opensearch import __main__ as opensearch
from stack.opensearch.node import Node
from stack.processes import StackError
from tests.contract.cluster import ML, connector
from tests.patience import eventually

if TYPE_CHECKING:
    import httpx

RELEASED = ("2.19.6", "3.6.0")
SNAPSHOTS = "snapshots"
"""Folder in a node's home that may hold snapshots."""


def reason_to_skip() -> str:
    """Empty where real servers can run."""
    if os.environ.get("CI_REAL") == "0":
        return "CI_REAL=0 leaves the real servers out"
    if not namespace.is_inside():
        return "needs the network namespace that `make test-real` makes"
    try:
        opensearch.check()
    except StackError as error:
        return str(error)
    return ""


class Nodes:
    def __init__(self, homes: Path) -> None:
        self._homes = homes
        self._running: dict[str, Node] = {}

    def running(self, version: str) -> Node:
        """Started when it is first asked for."""
        if version not in self._running:
            home = self._homes / version
            node = Node(version, home, free_port(), free_port(), settings={"path.repo": [str(home / SNAPSHOTS)]})
            self._running[version] = node.start()
            with node.client() as client:
                eventually("a first connector", partial(_takes_a_connector, client))
        return self._running[version]

    def stop(self) -> None:
        for node in self._running.values():
            node.stop()


def _takes_a_connector(client: httpx.Client) -> bool:
    """With the first one the cluster makes its master key; until that is stored, and on a busy machine, it fails."""
    made = client.post(f"{ML}/connectors/_create", json=connector("http://127.0.0.1:9"))
    if made.is_success:
        client.delete(f"{ML}/connectors/{made.json()['connector_id']}").raise_for_status()
    return made.is_success


@pytest.fixture(scope="session")
def real() -> None:
    if reason := reason_to_skip():
        pytest.skip(reason)


@pytest.fixture(scope="session")
def homes(real: None) -> Iterator[Path]:
    """Of nodes and of Airflow's PostgreSQL. Not in pytest's own folder: its next start closes that to other users."""
    with tempfile.TemporaryDirectory(prefix="opensearch-batch-real-") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def nodes(homes: Path) -> Iterator[Nodes]:
    """What a test leaves in them the next one finds."""
    started = Nodes(homes)
    yield started
    started.stop()
