"""The same tests on the sandbox's cluster, always, and on real servers in the namespace of `make test-real`.

The provider, and the cluster that has connector and model, is a sandbox of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from sandbox.server import Sandbox
from tests.index.bench import Cluster, Fill, Index, articles
from tests.index.beside import ALIAS, OLD, Beside, lead
from tests.nodes import RELEASED, reason_to_skip
from tests.sandbox.bench import Run, Server
from tests.sandbox.conftest import connections, no_pauses_between_repeated_reads, running, server

__all__ = ["connections", "no_pauses_between_repeated_reads", "running", "server"]

SERVERS = [
    *(pytest.param(("sandbox", version), id=f"sandbox-{version}") for version in RELEASED),
    *(pytest.param(("real", version), id=version, marks=pytest.mark.real) for version in RELEASED),
]


@pytest.fixture(scope="session", params=SERVERS)
def documents(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The server that has the index."""
    kind, version = request.param
    if kind == "sandbox":
        with Sandbox(tmp_path_factory.mktemp("documents"), profile=version) as box:
            yield from _opened(box.url, version, is_sandbox=True)
        return
    if reason := reason_to_skip():
        pytest.skip(reason)
    yield from _opened(request.getfixturevalue("nodes").running(version).url, version)


def _opened(url: str, version: str, *, is_sandbox: bool = False) -> Iterator[Cluster]:
    with httpx.Client(base_url=url, trust_env=False, timeout=60) as client:
        yield Cluster(client, version, is_sandbox)


@pytest.fixture
def cluster(documents: Cluster, connections: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """Connection `corpus`. Indices that a test made are deleted after it."""
    at = urlsplit(str(documents.http.base_url))
    made = {"conn_type": "http", "schema": "http", "host": at.hostname, "port": at.port}
    monkeypatch.setenv("AIRFLOW_CONN_CORPUS", json.dumps(made))
    yield documents
    for name in documents.names:
        documents.delete(name)
    documents.names.clear()


@pytest.fixture
def index(cluster: Cluster) -> Index:
    return cluster.index("articles")


@pytest.fixture
def night(tmp_path: Path, index: Index, server: Server) -> Callable[..., Fill]:
    """A run of the same spec, whose checkpoint the next one finds."""
    model_id = server.model()

    def begun(run_id: str = "night-1", **settings: object) -> Fill:
        return Fill(Run(tmp_path, run_id), index, model_id, dict(settings))

    return begun


@pytest.fixture
def aliased(cluster: Cluster) -> Index:
    """Forty articles with vectors of an old model, which the alias `live` leads to."""
    made = cluster.index("articles-old")
    made.add({name: {**source, **OLD} for name, source in articles(40).items()})
    lead(cluster, ALIAS, made)
    return made


@pytest.fixture
def change(tmp_path: Path, aliased: Index, server: Server) -> Callable[..., Beside]:
    """A run that fills a new index beside the aliased one. The same run's id makes a next try of the same run."""
    model_id = server.model()

    def begun(run_id: str = "change-1", **settings: object) -> Beside:
        return Beside(Run(tmp_path, run_id), aliased, model_id, dict(settings))

    return begun
