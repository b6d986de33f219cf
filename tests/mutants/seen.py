"""Seen: which lines of the rooms each test runs, by a trace of its own thread and of those that it starts."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec


class Run(msgspec.Struct, frozen=True):
    """A test's `seconds` under the trace, and the `lines` it ran, by file; `passed` is without any change."""

    seconds: float
    passed: bool
    lines: dict[str, list[int]]


class Lines:
    """Collects the lines of `files` that run, until `taken`."""

    def __init__(self, files: Sequence[str]) -> None:
        self._seen: dict[str, set[int]] = {path: set() for path in files}
        self._by_code = {str(Path(path).resolve()): seen for path, seen in self._seen.items()}

    def begin(self) -> float:
        """Trace from here on, and return the time. For each test anew: an error in a trace, as where a test nests
        deeper than Python does, ends the trace.
        """
        threading.settrace(self._call)
        sys.settrace(self._call)
        return time.perf_counter()

    def taken(self) -> dict[str, list[int]]:
        """Return the lines since the last call."""
        found = {path: sorted(seen) for path, seen in self._seen.items() if seen}
        for seen in self._seen.values():
            seen.clear()
        return found

    def _call(self, frame: FrameType, event: str, argument: Any) -> Any:
        return self._line if frame.f_code.co_filename in self._by_code else None

    def _line(self, frame: FrameType, event: str, argument: Any) -> Any:
        self._by_code[frame.f_code.co_filename].add(frame.f_lineno)
        return self._line
