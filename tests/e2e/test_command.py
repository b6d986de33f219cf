"""The command that starts a stack: what a kill of its process leaves, and a start after that."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import psutil  # type: ignore[import-untyped]
import pytest

from stack.airflow import CHECKOUT, COMMANDS
from stack.processes import left_over, work_of
from tests.patience import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.e2e


class Command:
    """``python -m stack up --sandbox`` on a home, as a process of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.output = home.parent / f"{home.name}-{time.monotonic_ns()}.txt"
        with self.output.open("wb") as output:
            command = [sys.executable, "-m", "stack", "--home", str(home), "up", "--sandbox"]
            self.process = subprocess.Popen(command, cwd=CHECKOUT, stdout=output, stderr=subprocess.STDOUT)

    def wait_for(self, text: str) -> None:
        eventually(text, partial(self._has_said, text), partial(work_of, self.process.pid))
        assert text in self.output.read_text(), self.output.read_text()

    def _has_said(self, text: str) -> bool:
        return text in self.output.read_text() or self.process.poll() is not None

    def processes(self) -> list[psutil.Process]:
        """The command's whole family, PostgreSQL's too, which do not keep the mark."""
        return [child for child in psutil.Process(self.process.pid).children(recursive=True) if child.is_running()]


@pytest.fixture
def home() -> Iterator[Path]:
    """Not in pytest's own folder: see conftest.py."""
    with tempfile.TemporaryDirectory(prefix="opensearch-batch-command-") as folder:
        yield Path(folder) / "home"


def test_nothing_outlives_a_killed_command_and_the_next_one_recovers(home: Path) -> None:
    """SIGKILL leaves no time to clear up: the keepers have to notice. Then SIGTERM, in a start on the same home."""
    first = Command(home)
    first.wait_for("Airflow is at")
    processes = first.processes()
    assert len(processes) > len(COMMANDS)

    first.process.kill()

    eventually("all are gone", lambda: not any(process.is_running() for process in processes))
    assert left_over(home) == []

    second = Command(home)
    second.wait_for("PostgreSQL")
    processes = second.processes()
    second.process.terminate()
    assert second.process.wait() == 128 + signal.SIGTERM
    assert processes
    eventually("all are gone", lambda: not any(process.is_running() for process in processes))
    assert left_over(home) == []
