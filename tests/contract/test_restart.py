"""State is on disk: the process may be killed at any moment."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from sandbox.server import Sandbox
from tests.contract.cluster import Cluster, rows
from tests.contract.conftest import Provider
from tests.patience import until

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
ROWS = 8_000


def test_a_batch_killed_in_the_middle_is_whole_after_a_restart(tmp_path: Path) -> None:
    port = free_port()
    first = start_sandbox(port, tmp_path)
    try:
        cluster, provider = Cluster(f"http://127.0.0.1:{port}"), Provider(f"http://127.0.0.1:{port}")
        model_id = cluster.model()
        task_id = cluster.submit(model_id, provider.upload(rows(ROWS)))["task_id"]
        counts = until(
            lambda: cluster.ok("GET", f"/tasks/{task_id}")["remote_job"]["request_counts"],
            lambda found: 0 < found["completed"] < ROWS,
        )
        assert counts["total"] == ROWS
    finally:
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
    second = start_sandbox(port, tmp_path)
    try:
        cluster, provider = Cluster(f"http://127.0.0.1:{port}"), Provider(f"http://127.0.0.1:{port}")
        task = until(lambda: cluster.ok("GET", f"/tasks/{task_id}"), lambda found: found["state"] == "COMPLETED")
        job = task["remote_job"]
        assert job["request_counts"] == {"total": ROWS, "completed": ROWS, "failed": 0}
        ids = [json.loads(line)["custom_id"] for line in provider.lines(job["output_file_id"])]
        assert sorted(ids) == sorted(f"row-{index}" for index in range(ROWS))
        assert len(cluster.sandbox("ledger")) == 1
        assert list((tmp_path / "work").iterdir()) == []
        assert cluster.state(model_id) == "DEPLOYED"
    finally:
        second.terminate()
        second.wait()


def test_it_stops_and_starts_again_at_the_same_address(tmp_path: Path) -> None:
    box = Sandbox(tmp_path, pace="polls:1000").start()
    provider = Provider(box.url)
    batch_id = provider.start(rows(3))
    address = box.url
    box.stop()
    box.start()
    try:
        assert box.url == address
        assert Provider(box.url).api.batches.retrieve(batch_id).id == batch_id
    finally:
        box.stop()


def test_a_reset_forgets_everything(cluster: Cluster, provider: Provider) -> None:
    cluster.model()
    provider.end(provider.start())
    cluster.fault("expire")
    cluster.ok("POST", "/_sandbox/reset")
    assert [cluster.sandbox(name) for name in ("ledger", "faults", "calls")] == [[], [], []]
    assert provider.api.files.list().data == []
    assert cluster.found("models", {"match_all": {}}) == []
    assert provider.end(provider.start()).status == "completed"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_sandbox(port: int, data: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox", "--port", str(port), "--data", str(data)], cwd=ROOT, env=dict(_environment())
    )

    def ready() -> bool:
        assert process.poll() is None, "the sandbox ended"
        try:
            return httpx.get(f"http://127.0.0.1:{port}/_sandbox/ready", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    until(ready, bool)
    return process


def _environment() -> Iterator[tuple[str, str]]:
    yield from ((key, value) for key, value in os.environ.items() if not key.lower().endswith("_proxy"))
