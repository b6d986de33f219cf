"""Suite: all fast tests, collected once in a process of their own, of which each trial is a fork."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.mutants.forks import ended_well, forked, to, told
from tests.mutants.seen import Lines, Run
from tests.mutants.swap import swap

Asked = tuple[str, Any, float]
PASSED, FAILED, NOT_SWAPPED = 0, 1, 3
OPTIONS = ("-q", "--no-header", "-s", "-p", "no:cacheprovider", "-p", "no:xdist")


class Suite:
    """Asks the process with the tests. `folders` are what it collects; `log` has the output of the last trial."""

    def __init__(self, folders: Sequence[str], log: Path) -> None:
        self._log = log
        self._here, there = multiprocessing.Pipe()
        forked(lambda: _serve(self._here, there, folders, log))
        there.close()
        if not self._here.poll(300) or self._here.recv() != "collected":
            raise RuntimeError(f"the tests can't be collected: see {log}")

    def record(self, files: Sequence[str], into: Path, seconds: float) -> dict[str, Run]:
        """Run all tests, and return which lines of the files each of them runs.

        Raise RuntimeError where they do not come to an end.
        """
        if (status := self._ask(("record", (list(files), str(into)), seconds))) != PASSED:
            raise RuntimeError(f"no note of which lines each test runs (status {status}): see {self._log}")
        return msgspec.json.decode(into.read_bytes(), type=dict[str, Run])

    def passes(self, mutant: dict[str, Any], tests: Iterable[str], seconds: float) -> bool | None:
        """Tell whether the tests pass with the mutant's code, None where it is no change of a function's body.

        Raise RuntimeError where the trial itself fails.
        """
        status = self._ask(("try", (mutant["file"], mutant["code"], list(tests)), seconds))
        return None if status == NOT_SWAPPED else status == PASSED

    def _ask(self, asked: Asked) -> int:
        self._here.send(asked)
        return told(int(self._here.recv()), self._log)


class Served:
    """Takes the place of pytest's own loop over the tests."""

    def __init__(self, asks: Connection, log: Path) -> None:
        self._asks, self._log = asks, log

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self._asks.send("collected")
        while True:
            try:
                what, given, seconds = self._asks.recv()
            except EOFError:
                os._exit(0)
            acts: dict[str, Callable[..., int]] = {"record": _record, "try": _try}
            self._asks.send(ended_well(forked(self._logged(acts[what], session, *given)), seconds))

    def _logged(self, act: Callable[..., int], *given: Any) -> Callable[[], int]:
        def logged() -> int:
            to(self._log)
            return act(*given)

        return logged


def _serve(theirs: Connection, asks: Connection, folders: Sequence[str], log: Path) -> int:
    theirs.close()  # else the end of those who ask would never show here
    to(log)
    base = f"--basetemp={log.parent / 'tests'}"
    return int(pytest.main([*OPTIONS, base, *folders], plugins=[Served(asks, log)]))


def _record(session: pytest.Session, files: Sequence[str], into: str) -> int:
    lines, runs = Lines(files), {}
    begun, failed = lines.begin(), 0
    for item in _run(session, session.items):
        runs[item.nodeid] = Run(time.perf_counter() - begun, session.testsfailed == failed, lines.taken())
        begun, failed = lines.begin(), session.testsfailed
    Path(into).write_bytes(msgspec.json.encode(runs))
    return PASSED


def _try(session: pytest.Session, path: str, code: str, tests: Sequence[str]) -> int:
    if not swap(path, code):
        return NOT_SWAPPED
    by_id = {item.nodeid: item for item in session.items}
    return FAILED if any(session.testsfailed for _ in _run(session, [by_id[test] for test in tests])) else PASSED


def _run(session: pytest.Session, items: Sequence[pytest.Item]) -> Iterator[pytest.Item]:
    """Yield each test that has run."""
    for item, following in zip(items, [*items[1:], None], strict=True):
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        yield item
