"""Choice: of all fast tests those that a mutant can turn red, as they run the changed lines, the quick ones first."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

from tests.mutants.seen import Run


class Choice:
    def __init__(self, runs: Mapping[str, Run]) -> None:
        self._runs = {test: run for test, run in runs.items() if run.passed}

    def tests(self, mutant: Mapping[str, Any]) -> list[str]:
        """Return the tests that run one of the changed lines; where none does, those that run the function around.

        The code outside of functions runs at import: there each test of the file counts. Tests of tests/unit come
        first, by their seconds.
        """
        file, line = mutant["file"], mutant["line"]
        lines = range(line, line + len(mutant["before"].splitlines()))
        around = function_at(Path(file).read_text(), line)
        for wanted in (lines, around) if around else (None,):
            if found := [test for test in self._runs if self._runs_one_of(test, file, wanted)]:
                return sorted(found, key=self._place)
        return []

    def seconds(self, tests: Iterable[str]) -> float:
        return sum(self._runs[test].seconds for test in tests)

    def within(self, tests: list[str], seconds: float) -> list[str]:
        """Return the first tests of the list, for so many seconds, and one at least."""
        spent = accumulate(self._runs[test].seconds for test in tests)
        return tests[: max(1, sum(each <= seconds for each in spent))]

    def _runs_one_of(self, test: str, file: str, lines: range | None) -> bool:
        ran = self._runs[test].lines.get(file, ())
        return any(line in lines for line in ran) if lines is not None else bool(ran)

    def _place(self, test: str) -> tuple[bool, float]:
        return not test.startswith("tests/unit/"), self._runs[test].seconds


def function_at(code: str, line: int) -> range | None:
    """Return the lines of the innermost function's body at the line: its defaults and decorators run at import."""
    found = [lines for lines in _bodies(ast.parse(code)) if line in lines]
    return min(found, key=len) if found else None


def _bodies(tree: ast.Module) -> Iterator[range]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield range(node.body[0].lineno, (node.end_lineno or node.lineno) + 1)
