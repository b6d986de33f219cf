"""What the commands print: steps with their seconds, and a run's progress."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from types import TracebackType


class Counts(Protocol):
    """``total`` 0: not known yet."""

    @property
    def done(self) -> int: ...
    @property
    def total(self) -> int: ...
    @property
    def stage(self) -> str: ...


class Screen:
    """``stays``: a person is watching, so the stack may wait for Ctrl-C."""

    def __init__(self) -> None:
        self.terminal = sys.stdout.isatty()
        self.stays = self.terminal and os.environ.get("CI", "").lower() not in {"1", "true", "yes"}

    def line(self, text: str = "") -> None:
        print(text, flush=True)

    def step(self, what: str, seconds: float) -> None:
        self.line(f"{seconds:6.1f} s  {what}")

    def progress(self) -> Bar | Lines:
        return Bar() if self.terminal else Lines(self)


class Bar:
    """A bar that is drawn over itself."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description:<34}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=Console(), transient=False)
        self._task = self._progress.add_task("queued", total=None)

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, t: TracebackType | None) -> None:
        self._progress.stop()

    def show(self, counts: Counts) -> None:
        total = counts.total or None
        self._progress.update(self._task, completed=counts.done, total=total, description=counts.stage)


class Lines:
    """A line whenever something changed."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._last = ""

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, t: TracebackType | None) -> None:
        return

    def show(self, counts: Counts) -> None:
        line = f"          {counts.stage}: {counts.done:,} of {counts.total:,} records" if counts.total else ""
        line = line or f"          {counts.stage}"
        if line != self._last:
            self._screen.line(line)
        self._last = line
