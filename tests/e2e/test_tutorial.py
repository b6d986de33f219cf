"""docs/tutorial.md, run as it is printed: the installation is the wheel unpacked, the sandbox's port a free one."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil  # type: ignore[import-untyped]
import pytest

from stack.airflow import CHECKOUT
from stack.processes import end, work_of
from stack.wheel import build
from tests.patience import eventually

pytestmark = pytest.mark.e2e

PAGE = (CHECKOUT / "docs/tutorial.md").read_text(encoding="utf-8")
PRINTED_PORT = "8766"
PORTS = ("API__PORT", "LOGGING__WORKER_LOG_SERVER_PORT", "LOGGING__TRIGGER_LOG_SERVER_PORT")


class Reader:
    """A person with the page, a home of their own, and terminals."""

    def __init__(self, home: Path, site: Path) -> None:
        self.home = home
        self.port, *airflows = free_ports(1 + len(PORTS))
        self.page = PAGE.replace(PRINTED_PORT, str(self.port))
        self.commands = re.findall(r"```sh\n(.*?)```", self.page, re.DOTALL)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "BATCH_"))}
        ports = {f"AIRFLOW__{name}": str(port) for name, port in zip(PORTS, airflows, strict=True)}
        url = {"AIRFLOW__API__BASE_URL": f"http://localhost:{airflows[0]}/"}
        self._env = kept | ports | url | {"HOME": str(home), "PYTHONPATH": str(site)}
        self._exports = "\n".join(line for line in self.page.splitlines() if line.startswith("export "))
        self._install()

    def _install(self) -> None:
        bin_ = self.home / "batch/venv/bin"
        bin_.mkdir(parents=True)
        (bin_ / "airflow").symlink_to(Path(sys.executable).with_name("airflow"))

    def write_files(self) -> None:
        """Each block under the name of a file."""
        named = re.findall(r"`~/([^`]+)`\n\n```\w+\n(.*?)```", self.page, re.DOTALL)
        assert len(named) == 5
        for path, text in named:
            (self.home / path).write_text(text, encoding="utf-8")

    def run(self, command: str) -> str:
        ran = subprocess.run(self._bash(command), env=self._env, cwd=CHECKOUT, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout + ran.stderr

    @contextmanager
    def terminal(self, command: str, log: str) -> Iterator[psutil.Process]:
        """One that stays open."""
        with (self.home / log).open("wb") as out:
            bash = psutil.Popen(self._bash(command), env=self._env, cwd=CHECKOUT, stdout=out, stderr=out)
        try:
            yield bash
        finally:
            end([*bash.children(recursive=True), bash])

    def _bash(self, command: str) -> list[str]:
        return ["bash", "-euc", f"{self._exports}\n{command}"]


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    zipfile.ZipFile(build(tmp_path)).extractall(tmp_path / "site")
    (tmp_path / "home").mkdir()
    return Reader(tmp_path / "home", tmp_path / "site")


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/_sandbox/ready", trust_env=False).is_success
    except httpx.TransportError:
        return False


def test_the_page_leads_from_nothing_to_an_answer(reader: Reader) -> None:
    _, sandbox, connect, folders, first, standalone, others, many, ask, _ = reader.commands
    with reader.terminal(sandbox, "sandbox.log") as box:
        reader.run(connect)
        reader.run(folders)
        reader.write_files()
        eventually("the sandbox answers", lambda: answers(reader.port), lambda: work_of(box.pid))
        assert "2 of 2 rows answered, 0 failed, 0 missing; 1 job" in reader.run(first)
        with reader.terminal(standalone, "standalone.log") as airflow:
            reader.run(others)
            manifest = reader.home / "batch/data/embedded/2026-01-31/manifest.json"
            eventually("the second day lands", manifest.exists, lambda: work_of(airflow.pid))
        assert re.findall(r"2026-\d\d-\d\d 02:00", reader.run(many)) == ["2026-01-30 02:00", "2026-01-31 02:00"]
        assert reader.run(ask).strip() == "Roses"
