"""The fixture's own promises: never as root, nothing left behind, the same home is the same cluster."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil  # type: ignore[import-untyped]

from stack.airflow import CHECKOUT
from stack.home import free_port
from stack.opensearch.account import PREFIX
from stack.opensearch.node import Node
from stack.processes import left_over

if TYPE_CHECKING:
    from pathlib import Path


def made_users() -> set[str]:
    return {user.pw_name for user in pwd.getpwall() if user.pw_name.startswith(PREFIX)}


def test_a_node_is_not_root_and_its_data_outlives_it(homes: Path) -> None:
    node = Node("2.19.6", homes / "kept", free_port(), free_port())
    with node:
        assert node.part is not None
        process = psutil.Process(node.part.pid)
        assert 0 not in process.uids()
        user = process.username()
        assert (os.geteuid() != 0) or user in made_users()
        with node.client() as client:
            client.put("/things/_doc/1?refresh=true", json={"name": "kept"}).raise_for_status()
    assert not process.is_running()
    assert user not in made_users()
    with node, node.client() as client:
        assert client.get("/things/_doc/1").json()["_source"] == {"name": "kept"}


def test_a_killed_command_leaves_no_server_behind(homes: Path) -> None:
    home = homes / "killed"
    command = [sys.executable, "-m", "stack.opensearch", "run", "2.19.6", "--home", str(home)]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        assert "OpenSearch 2.19.6 on http://127.0.0.1:" in starter.stdout.readline()
        server = next(process for process in psutil.Process(starter.pid).children(recursive=True) if is_java(process))
        starter.kill()
    gone, alive = psutil.wait_procs([server], timeout=30)
    assert (gone, alive) == ([server], [])


def is_java(process: psutil.Process) -> bool:
    return bool(process.name() == "java")


def test_the_demo_command_takes_a_real_opensearch(homes: Path) -> None:
    command = [sys.executable, "-m", "stack", "--home", str(homes / "demo"), "demo", "--opensearch", "3.6.0"]
    began = time.monotonic()
    ended = subprocess.run(
        command, cwd=CHECKOUT, env=os.environ | {"CI": "true"}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    summary = json.loads(ended.stdout.splitlines()[-1])
    assert summary["answered"] == summary["records"] > 5000
    assert 0 < summary["seconds"] <= time.monotonic() - began
    assert left_over(homes / "demo") == []
