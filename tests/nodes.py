"""Real OpenSearch servers: one node a version for all tests that need nothing special of it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from stack import namespace
from stack.home import free_port
from stack.opensearch import __main__ as opensearch
from stack.opensearch.node import Node
from stack.processes import StackError

RELEASED = ("2.19.6", "3.6.0")


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
            node = Node(version, self._homes / version, free_port(), free_port())
            self._running[version] = node.start()
        return self._running[version]

    def stop(self) -> None:
        for node in self._running.values():
            node.stop()


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
