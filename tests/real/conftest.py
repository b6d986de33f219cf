"""Real OpenSearch servers, one Airflow for all of them, and the sandbox as the provider, in a namespace of their own.

`make test-real` makes the namespace. Elsewhere these tests skip, and say why.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sandbox.server import Sandbox
from stack import namespace
from stack.opensearch import __main__ as opensearch
from stack.opensearch.node import Node
from stack.processes import StackError
from stack.stack import Stack
from tests.real.by_hand import run, use  # noqa: F401
from tests.real.cluster import Cluster, free_port
from tests.real.connections import Connections
from tests.real.provider import Provider
from tests.real.secured import connect, model_id, secured, testnet  # noqa: F401

if TYPE_CHECKING:
    from collections.abc import Iterator

RELEASED = ("2.19.6", "3.6.0")
LOOPBACK = "127.0.0.1"


def reason_to_skip() -> str:
    """Empty where real servers can run."""
    if os.environ.get("CI_REAL") == "0":
        return "CI_REAL=0 leaves the real servers out"
    try:
        opensearch.check()
    except StackError as error:
        return str(error)
    return "" if namespace.is_inside() else "needs the network namespace that `make test-real` makes"


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
    """Each version's one node, started when a test first asks for it."""
    started = Nodes(homes)
    yield started
    started.stop()


class Nodes:
    def __init__(self, homes: Path) -> None:
        self._homes = homes
        self._running: dict[str, Node] = {}

    def running(self, version: str) -> Node:
        if version not in self._running:
            node = Node(version, self._homes / version, free_port(), free_port())
            self._running[version] = node.start()
        return self._running[version]

    def stop(self) -> None:
        for node in self._running.values():
            node.stop()


@pytest.fixture(params=RELEASED)
def cluster(request: pytest.FixtureRequest, nodes: Nodes) -> Iterator[Cluster]:
    """One node; what a test registers in it is gone after the test."""
    node = nodes.running(request.param)
    with node.client() as client:
        cluster = Cluster(node, client)
        yield cluster
        cluster.forget()


@pytest.fixture(scope="session")
def providers(real: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Provider]]:
    """One on loopback, which no cluster reads a status from, one on the TEST-NET address, which counts as public."""
    with (
        Sandbox(tmp_path_factory.mktemp("provider"), host=LOOPBACK) as private,
        Sandbox(tmp_path_factory.mktemp("provider"), host=namespace.ADDRESS) as public,
        Provider(private.url) as on_loopback,
        Provider(public.url) as on_testnet,
    ):
        yield {"loopback": on_loopback, "testnet": on_testnet}


@pytest.fixture(params=["testnet", "loopback"])
def provider(request: pytest.FixtureRequest, providers: dict[str, Provider]) -> Provider:
    """As new."""
    chosen = providers[request.param]
    chosen.reset()
    return chosen


@pytest.fixture(scope="session")
def airflow(homes: Path) -> Iterator[Stack]:
    """The project's own DAGs; connections come through the REST API, from each test."""
    with Stack(homes / "airflow", with_sandbox=False) as started:
        yield started


@pytest.fixture
def connections(airflow: Stack) -> Connections:
    return Connections(airflow)


@pytest.fixture
def corpus(airflow: Stack) -> Path:
    """What the DAG batch_inference reads by default."""
    from stdlib_docstrings import write_docstrings

    path = airflow.home.data / "embed_stdlib_docs" / "docstrings.jsonl"
    if not path.exists():
        write_docstrings(path.as_uri())
    return path


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of this folder, so that `-m real` finds them."""
    for item in items:
        if item.path.parent.name == "real":
            item.add_marker(pytest.mark.real)
