"""Parts: one command under its keeper, its log in a file, started, stopped and killed by process id."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil  # type: ignore[import-untyped]

from stack import keeper
from stack.patience import Patience

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

# In the environment of every process of a stack; the value is its home. A later start finds left-overs by it.
MARK = "OPENSEARCH_BATCH_STACK_HOME"

# What starts works without a pause: Airflow's parts for 5 to 15 s of the processor, an OpenSearch for 25 s. The clock
# says little about it, as the processor may be shared with many others.
MOST_WORK_SECONDS = 120.0
LEAST_WORK_SECONDS = 1.0
IDLE_SECONDS = 60.0


class StackError(Exception):
    """The stack can't go on; the message says what happened and where to look."""


@dataclass
class Part:
    """A command that runs until it is told otherwise. Not thread-safe."""

    name: str
    command: list[str]
    log: Path
    env: Mapping[str, str]
    cwd: Path
    stop_signal: int = signal.SIGTERM
    grace_seconds: float = 5.0
    user: str | None = None
    pid: int | None = field(default=None, init=False)
    started_at: float = field(default=0.0, init=False)
    _keeper: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> None:
        if self.running:
            raise StackError(f"{self.name} is running already (process {self.pid})")
        keeping = [sys.executable, "-I", keeper.__file__, "--stop-signal", str(int(self.stop_signal))]
        keeping += ["--grace", str(self.grace_seconds)]
        keeping += ["--user", self.user] if self.user else []
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.started_at = time.time()
        with self.log.open("ab") as log:
            self._keeper = subprocess.Popen(
                [*keeping, "--", *self.command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=self.env,
                cwd=self.cwd,
                start_new_session=True,
            )
        assert self._keeper.stdout is not None
        with self._keeper.stdout as answer:
            line = answer.readline()
        if not line:
            raise self.failure("could not be started")
        self.pid = int(line)

    @property
    def running(self) -> bool:
        return self._keeper is not None and self._keeper.poll() is None

    def check(self) -> None:
        """Raise StackError, with the end of the log, if it ended by itself."""
        if not self.running:
            raise self.failure("has ended")

    def wait_until(self, holds: Callable[[], bool], what: str, pause_seconds: float = 0.1) -> None:
        """Return when it holds; raise StackError, with the end of the log, if the part ends, or works no more."""

        def has_come() -> bool:
            if not (come := holds()):
                self.check()
            return come

        if not any(self.patience().looks(has_come, pause_seconds)):
            raise self.failure(f"{what}, and has done next to no work for {IDLE_SECONDS:.0f} s")

    def finish(self) -> None:
        """Wait for a command that ends by itself; raise StackError if it fails or works no more."""
        assert self._keeper is not None
        patience = self.patience()
        while (code := self._keeper.poll()) is None:
            if patience.is_over:
                self.kill()
                raise self.failure("did not end")
            time.sleep(0.1)
        self.ask_to_stop()
        if code != 0:
            raise self.failure("has failed")

    def patience(self) -> Patience:
        """Until it has worked for MOST_WORK_SECONDS, or for less than LEAST_WORK_SECONDS in the last IDLE_SECONDS."""
        return Patience(IDLE_SECONDS, lambda: work_of(self.pid))

    def failure(self, what: str) -> StackError:
        code = f" (exit code {self._keeper.wait()})" if self._keeper is not None and not self.running else ""
        return StackError(f"{self.name} {what}{code}; the end of {self.log}:\n{tail(self.log)}")

    def ask_to_stop(self) -> None:
        """Send the stop signal and return at once; ``stop`` waits."""
        if self._keeper is not None and self._keeper.stdin is not None:
            self._keeper.stdin.close()

    def stop(self) -> None:
        """Stop it and wait until none of its processes is left; they have ``grace_seconds`` to go by themselves."""
        self.ask_to_stop()
        self._wait_for_keeper()

    def kill(self) -> None:
        """SIGKILL it and everything it started, as a crash of its machine would."""
        if self.running and self._keeper is not None and self._keeper.stdin is not None:
            with suppress(BrokenPipeError):  # it ended just now
                self._keeper.stdin.write(b"k")
                self._keeper.stdin.flush()
        self._wait_for_keeper()
        self.ask_to_stop()

    def _wait_for_keeper(self) -> None:
        if self._keeper is None:
            return
        try:
            self._keeper.wait(self.grace_seconds + 10)
        except subprocess.TimeoutExpired:
            end(_family(self._keeper.pid))
            self._keeper.wait()


def left_over(home: Path) -> list[psutil.Process]:
    """Processes that carry this home's mark, this process and its ancestors left out."""
    mine = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    return [process for process in psutil.process_iter() if process.pid not in mine and _mark(process) == str(home)]


def end(processes: Iterable[psutil.Process], seconds: float = 10.0) -> None:
    """SIGKILL; raises StackError if one is still there after ``seconds``."""
    listed = list(processes)
    for process in listed:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    _, alive = psutil.wait_procs(listed, timeout=seconds)
    if alive:
        raise StackError(f"could not end process {', '.join(str(process.pid) for process in alive)}")


def work_of(pid: int | None) -> float:
    """Grows by 1 with every LEAST_WORK_SECONDS of the processor that a process and its family spend, up to the most."""
    spent = sum(map(_cpu_seconds, _family(pid) if pid is not None else []))
    return min(spent, MOST_WORK_SECONDS) // LEAST_WORK_SECONDS


def tail(path: Path, lines: int = 20) -> str:
    if not path.exists():
        return "(there is no such file)"
    with path.open(encoding="utf-8", errors="replace") as text:
        return "".join(deque(text, maxlen=lines)).rstrip()


def _family(pid: int) -> list[psutil.Process]:
    try:
        head = psutil.Process(pid)
        return [*head.children(recursive=True), head]
    except psutil.NoSuchProcess:
        return []


def _cpu_seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)


def _mark(process: psutil.Process) -> str:
    try:
        return str(process.environ().get(MARK, ""))
    except (psutil.Error, OSError):  # another user's, or gone
        return ""
