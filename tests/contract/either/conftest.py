"""The same tests for the sandbox, always, and for real servers in the namespace of `make test-real` (marked `real`).

A real server is never as new and keeps what tests leave, so they name what they make and look for nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from sandbox.server import Sandbox
from stack import namespace
from tests.contract.cluster import Cluster
from tests.contract.conftest import Provider
from tests.nodes import RELEASED, reason_to_skip

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVERS = [
    *(pytest.param(("sandbox", version), id=f"sandbox-{version}") for version in RELEASED),
    *(pytest.param(("real", version), id=version, marks=pytest.mark.real) for version in RELEASED),
]


@dataclass(frozen=True)
class Server:
    cluster: Cluster
    provider: Provider
    version: str


@pytest.fixture(scope="session", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A sandbox is its own provider; a real server's is a sandbox at the address that ML Commons takes for public."""
    kind, version = request.param
    folder = tmp_path_factory.mktemp("provider")
    if kind == "sandbox":
        with Sandbox(folder, profile=version) as box:
            yield from _serve(box.url, box.url, version)
        return
    if reason := reason_to_skip():
        pytest.skip(reason)
    node = request.getfixturevalue("nodes").running(version)
    with Sandbox(folder, host=namespace.ADDRESS) as box:
        yield from _serve(node.url, box.url, version)


def _serve(url: str, provider_url: str, version: str) -> Iterator[Server]:
    cluster, provider = Cluster(url, provider_url), Provider(provider_url)
    yield Server(cluster, provider, version)
    provider.api.close()
    cluster.close()


@pytest.fixture
def cluster(server: Server) -> Cluster:
    """The provider's sandbox is as new; where it is the cluster as well, so is that."""
    server.cluster.order("reset")
    server.cluster.order("pace", {"pace": "instant"})
    return server.cluster


@pytest.fixture
def provider(cluster: Cluster, server: Server) -> Provider:
    return server.provider


@pytest.fixture
def is_3x(server: Server) -> bool:
    return not server.version.startswith("2.")
