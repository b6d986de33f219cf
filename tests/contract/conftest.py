from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import openai
import pytest

from sandbox.server import Sandbox
from tests.contract.aws_jobs.cloud import Cloud
from tests.contract.cluster import KEY, Cluster, jsonl, rows
from tests.patience import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


REPLAY_REPORT = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[REPLAY_REPORT] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """How many of the recorded exchanges agree, and the differences that stay."""
    lines = config.stash.get(REPLAY_REPORT, [])
    if lines:
        terminalreporter.section("recorded exchanges")
    for line in lines:
        terminalreporter.write_line(line)


class Provider:
    """The official client, and the few steps most tests take with it."""

    def __init__(self, url: str, key: str = KEY) -> None:
        self.api = openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=30)

    def upload(self, lines: list[dict[str, Any]]) -> str:
        return self.upload_bytes(jsonl(lines))

    def upload_bytes(self, content: bytes) -> str:
        return self.api.files.create(file=("input.jsonl", io.BytesIO(content)), purpose="batch").id

    def start(self, lines: list[dict[str, Any]] | None = None, **more: Any) -> str:
        file_id = self.upload(rows(5) if lines is None else lines)
        return self.api.batches.create(
            input_file_id=file_id, endpoint="/v1/embeddings", completion_window="24h", **more
        ).id

    def end(self, batch_id: str) -> openai.types.Batch:
        final = ("completed", "failed", "expired", "cancelled")
        return until(lambda: self.api.batches.retrieve(batch_id), lambda batch: batch.status in final)

    def lines(self, file_id: str | None) -> list[str]:
        assert file_id is not None
        return self.api.files.content(file_id).text.splitlines()


@pytest.fixture(scope="session")
def one_box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sandbox, Provider, Cluster]]:
    """One server and its clients for all tests that need nothing special of them."""
    with Sandbox(tmp_path_factory.mktemp("sandbox")) as running:
        provider, cluster = Provider(running.url), Cluster(running.url)
        yield running, provider, cluster
        provider.api.close()
        cluster.close()


@pytest.fixture
def box(one_box: tuple[Sandbox, Provider, Cluster]) -> Sandbox:
    """As new: whatever the test before left is forgotten."""
    running, _, cluster = one_box
    cluster.ok("POST", "/_sandbox/reset")
    cluster.ok("POST", "/_sandbox/pace", {"pace": "instant"})
    return running


@pytest.fixture
def provider(box: Sandbox, one_box: tuple[Sandbox, Provider, Cluster]) -> Provider:
    return one_box[1]


@pytest.fixture
def cluster(box: Sandbox, one_box: tuple[Sandbox, Provider, Cluster]) -> Cluster:
    return one_box[2]


@pytest.fixture
def old_cluster(tmp_path: Path) -> Iterator[Cluster]:
    """The same API as 2.19.6 answers it."""
    with Sandbox(tmp_path, profile="2.19.6") as running:
        client = Cluster(running.url)
        yield client
        client.close()


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
