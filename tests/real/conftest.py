"""Real OpenSearch servers, one Airflow for all of them, and the sandbox as the provider, in a namespace of their own.

`make test-real` makes the namespace. Elsewhere these tests skip, and say why.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sandbox.server import Sandbox
from stack import namespace
from stack.airflow import LOADED_ONCE, UNCHANGED_FILES
from stack.stack import Stack
from tests.nodes import RELEASED, Nodes
from tests.real.by_hand import run, use  # noqa: F401
from tests.real.cluster import Cluster
from tests.real.connections import Connections
from tests.real.provider import Provider
from tests.real.secured import connect, model_id, secured, testnet  # noqa: F401

if TYPE_CHECKING:
    from collections.abc import Iterator

LOOPBACK = "127.0.0.1"


@pytest.fixture(params=RELEASED)
def cluster(request: pytest.FixtureRequest, nodes: Nodes) -> Iterator[Cluster]:
    """One node; nothing is registered in it, and what a test registers is gone after the test."""
    node = nodes.running(request.param)
    with node.client() as client:
        cluster = Cluster(node, client)
        cluster.forget()
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
    with Stack(homes / "airflow", with_sandbox=False, settings=UNCHANGED_FILES | LOADED_ONCE) as started:
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
