from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.aws_jobs.cloud import Cloud

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.server import Sandbox
    from tests.contract.cluster import Cluster
    from tests.contract.conftest import Provider


@pytest.fixture(scope="session")
def clients(one_box: tuple[Sandbox, Provider, Cluster]) -> Iterator[Cloud]:
    """Making them takes longer than most tests."""
    made = Cloud(one_box[0].url)
    yield made
    made.close()


@pytest.fixture
def cloud(box: Sandbox, clients: Cloud) -> Cloud:
    """The official clients, with a bucket and a model that embeds; small jobs are enough for Bedrock."""
    clients.prepare()
    return clients
