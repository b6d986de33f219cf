"""Player: a mutant against the tests that run its lines; the record of those lines is kept until a file changes."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from tests.mutants.choice import Choice
from tests.mutants.rooms import TESTS
from tests.mutants.seen import Run
from tests.mutants.suite import Suite
from tests.mutants.trial import load_once, passes

KEPT = Path(".venv-mutants/lines.json")
FEW_SECONDS = 15.0
RECORD_SECONDS = 1800.0


class Kept(msgspec.Struct, frozen=True):
    of: str
    runs: dict[str, Run]


class Player:
    """Holds the collected tests and the record of what they run. `files` are the rooms'."""

    def __init__(self, files: Sequence[str], log: Path) -> None:
        load_once()
        self._log, self._suite = log, Suite(TESTS, log)
        runs = _kept() or _recorded(self._suite, files, log)
        self._choice = Choice(runs)
        for test, run in runs.items():
            if not run.passed:
                print(f"left out, as it fails without any change: {test}", file=sys.stderr)

    def lives(self, mutant: dict[str, Any], *, few: bool) -> bool:
        """Tell whether no test notices, and True where none runs the line; a trial without an end is noticed."""
        tests = self._choice.tests(mutant)
        quick = self._choice.within(tests, FEW_SECONDS)
        rest = [] if few else tests[len(quick) :]
        return all(self._passes(mutant, each) for each in (quick, rest) if each)

    def _passes(self, mutant: dict[str, Any], tests: list[str]) -> bool:
        seconds = 30 + 5 * self._choice.seconds(tests)
        passed = self._suite.passes(mutant, tests, seconds)
        return passes(mutant, tests, self._log, seconds) if passed is None else passed


def _kept() -> dict[str, Run] | None:
    if not KEPT.exists():
        return None
    kept = msgspec.json.decode(KEPT.read_bytes(), type=Kept)
    return kept.runs if kept.of == _state() else None


def _recorded(suite: Suite, files: Sequence[str], log: Path) -> dict[str, Run]:
    print("which lines each test runs: some minutes, kept until a file changes", file=sys.stderr, flush=True)
    runs = suite.record(files, log.parent / "lines.json", RECORD_SECONDS)
    KEPT.write_bytes(msgspec.json.encode(Kept(_state(), runs)))
    return runs


def _state() -> str:
    """Return a hash of all that can change which lines a test runs."""
    found = hashlib.sha256()
    for folder in ("plugins", "sandbox", "tests", "dags"):
        for path in sorted(Path(folder).rglob("*.py")):
            if "mutants" not in path.parts:
                found.update(str(path).encode() + path.read_bytes())
    return found.hexdigest()
