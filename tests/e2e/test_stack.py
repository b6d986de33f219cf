"""The stack's own promises: every part alone can be killed and started, loopback only, and nothing is left behind."""

from __future__ import annotations

import json
import os
import socket
import stat
import sys
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from stack.airflow import COMMANDS
from stack.home import Home
from stack.processes import MARK, Part, StackError, left_over
from stack.stack import Stack
from tests.listening import listened_on
from tests.patience import eventually

pytestmark = pytest.mark.e2e


def test_every_part_is_healthy(stack: Stack) -> None:
    assert {name: stack.healthy(name) for name in COMMANDS} == dict.fromkeys(COMMANDS, True)
    assert stack.parts["sandbox"].running


def test_a_killed_part_starts_again(stack: Stack) -> None:
    part = stack.parts["triggerer"]
    first = psutil.Process(part.pid)
    family = [first, *first.children(recursive=True)]
    assert len(family) > 1

    stack.kill_part("triggerer")

    assert not any(process.is_running() for process in family)
    assert not stack.healthy("triggerer")
    assert stack.healthy("scheduler")
    stack.start_part("triggerer")
    assert stack.healthy("triggerer")
    assert part.pid != first.pid


def test_the_sandbox_starts_again_on_its_port(stack: Stack) -> None:
    stack.kill_part("sandbox")
    assert not stack.parts["sandbox"].running
    stack.start_part("sandbox")
    assert stack.parts["sandbox"].running


def test_everything_listens_on_loopback_only(stack: Stack) -> None:
    listening = [address for process in left_over(stack.home.path) for address in listened_on(process)]
    ports = {int(url.rpartition(":")[2]) for url in (stack.url, stack.sandbox_url)}
    assert {address.port for address in listening} == ports
    assert {address.ip for address in listening} == {"127.0.0.1"}


def test_secrets_are_for_the_owner_only(stack: Stack) -> None:
    assert stat.S_IMODE((stack.home.path / "secrets.json").stat().st_mode) == 0o600


def test_a_home_has_one_stack(stack: Stack) -> None:
    with pytest.raises(StackError, match=f"in use by process {os.getpid()}"):
        Stack(stack.home.path).start()


def test_a_stopped_part_takes_its_orphans_along(tmp_path: Path) -> None:
    """Also a grandchild in a session of its own, as Airflow's tasks are in groups of their own."""
    orphan = "import subprocess, sys; subprocess.Popen(['sleep', '600'], start_new_session=True)"
    part = a_part(tmp_path, f"{orphan}; import time; print('ready', flush=True); time.sleep(600)")
    part.start()
    eventually("ready", lambda: "ready" in part.log.read_text())
    processes = left_over(tmp_path)
    assert len(processes) == 3

    part.stop()

    assert not any(process.is_running() for process in processes)


def test_a_part_that_fails_says_why(tmp_path: Path) -> None:
    part = a_part(tmp_path, "raise SystemExit('no such thing')")
    part.start()
    eventually("ended", lambda: not part.running)
    with pytest.raises(StackError, match=r"trial has ended \(exit code 1\).*\nno such thing"):
        part.check()


def test_a_port_taken_by_another_program_is_named(tmp_path: Path) -> None:
    home = Home(tmp_path)
    port = home.port("sandbox")
    assert home.port("sandbox") == port
    (tmp_path / "ports.json").write_text(json.dumps({"sandbox": (taken := listener()).getsockname()[1]}))
    with taken, pytest.raises(StackError, match="is taken by another program"):
        home.port("sandbox")


def a_part(home: Path, code: str) -> Part:
    return Part("trial", [sys.executable, "-c", code], home / "trial.log", os.environ | {MARK: str(home)}, home)


def listener() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))
