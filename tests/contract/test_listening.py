"""Where the sandbox listens, what it prints, and whom its connectors may call."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from sandbox.server import Sandbox
from tests.contract.cluster import Cluster, rows
from tests.contract.conftest import Provider

ROOT = Path(__file__).parents[2]
ANOTHER = "127.0.0.2"


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_it_prints_its_address_once_it_answers(tmp_path: Path, host: str) -> None:
    command = [sys.executable, "-m", "sandbox", "--port", "0", "--host", host, "--data", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.fullmatch(r"sandbox: (http://127\.0\.0\.1:\d+)\n", line)
            assert found, line
            assert httpx.get(f"{found[1]}/_sandbox/ready", trust_env=False).json()["ready"] is True
        finally:
            process.terminate()


def test_its_own_address_is_one_a_connector_may_call(tmp_path: Path) -> None:
    with Sandbox(tmp_path, host=ANOTHER) as box:
        assert box.url.startswith(f"http://{ANOTHER}:")
        cluster, provider = Cluster(box.url), Provider(box.url)
        job = cluster.submit(cluster.model(), provider.upload(rows(1)))
        assert job["status"] == "CREATED"


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_an_address_of_another_machine_is_never_called(tmp_path: Path, host: str) -> None:
    with Sandbox(tmp_path, host=host) as box:
        cluster = Cluster(box.url)
        model_id = cluster.model(cluster.connector(url="http://203.0.113.9:1"))
        body = {"parameters": {"input_file_id": "f", "key": "k"}}
        status, _, reason = cluster.refused("POST", f"/models/{model_id}/_batch_predict", body)
        assert status == 400
        assert reason.endswith("only and did not call http://203.0.113.9:1/v1/batches")


def test_listening_on_every_address_makes_each_of_them_its_own(tmp_path: Path) -> None:
    own = socket.gethostbyname(socket.gethostname())
    with Sandbox(tmp_path, host="0.0.0.0") as box:
        cluster = Cluster(f"http://{own}:{box.port}")
        model_id = cluster.model()
        provider = Provider(box.url)
        assert cluster.submit(model_id, provider.upload(rows(1)))["status"] == "CREATED"
