"""Several machines, without starting any: what each gets of its own, and what the stack asks for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stack.airflow import CHECKOUT
from stack.broker import Broker, program
from stack.celery_venv import LOCK
from stack.home import Home
from stack.processes import StackError
from stack.several import ADDRESSES, DATA_URI, MACHINES, machine_environment, settings

PINNED = re.compile(r"^([\w.-]+)==(\S+)$", re.MULTILINE)


def test_without_a_server_the_error_names_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StackError, match=r"apt install redis-server"):
        program()


def test_valkey_is_taken_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = tmp_path / "valkey-server"
    server.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert program() == str(server)
    home = Home(tmp_path / "home")
    home.acquire()
    broker = Broker(home, {})
    home.release()
    written = home.path / "broker" / "server.conf"
    password = broker.url.partition("redis://:")[2].partition("@")[0]
    assert f"requirepass {password}" in written.read_text()
    assert "bind 127.0.0.1" in written.read_text()
    assert written.stat().st_mode & 0o077 == 0
    assert password not in " ".join(broker.part.command)


def test_two_machines_have_no_path_and_no_name_in_common(tmp_path: Path) -> None:
    """But the one module that tells a machine its name."""
    one, other = (machine_environment(name, tmp_path / name) for name in ("worker-1", "worker-2"))
    assert {name for name in one if one[name] == other[name]} == {"PYTHONPATH"}
    assert len(set(ADDRESSES.values())) == len(MACHINES)
    assert settings("redis://", "postgresql://")["BATCH_DATA_URI"] == DATA_URI
    assert not [value for value in settings("redis://", "postgresql://").values() if value.startswith(("/", "file:"))]


def test_the_lock_only_adds_to_the_lock_of_all() -> None:
    added = dict(PINNED.findall(LOCK.read_text()))
    locked = {name for name, _ in PINNED.findall((CHECKOUT / "requirements.lock").read_text())}
    assert {"apache-airflow-providers-celery", "celery", "redis"} <= set(added)
    assert set(added) & locked == set()
