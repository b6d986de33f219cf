"""What `make mutants` decides by itself: which tests a change has to pass, and what counts as explained."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.mutants.choice import Choice
from tests.mutants.explained import FILE, explained, reason_of
from tests.mutants.forks import BROKEN, ended_well, forked, told
from tests.mutants.rooms import PACKAGE, ROOMS, TESTS, files
from tests.mutants.seen import Run
from tests.mutants.survivors import note, noted
from tests.mutants.swap import swap

ENTRY = '[[equivalent]]\nfile = "wait/pacing.py"\nbefore = "a"\nafter = "b"\nwhy = "{why}"\n'
WAITED = f"{PACKAGE}/wait/pacing.py"
CODE = """
from __future__ import annotations
import functools
from dataclasses import dataclass

LIMIT = 7

@functools.cache
def doubled(number):
    return number * 2

@dataclass
class Box:
    size: int = 1

    @property
    def more(self):
        return self.size + 1
"""


def line_of(text: str) -> int:
    return next(at for at, line in enumerate(Path(WAITED).read_text().splitlines(), 1) if text in line)


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    path = tmp_path / "swapped_here.py"
    path.write_text(CODE)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, path.stem, module)
    spec.loader.exec_module(module)
    return module


def test_a_reason_is_found_by_what_stood_there_wherever_the_line_is_now() -> None:
    mutant = {"file": f"{PACKAGE}/wait/pacing.py", "line": 7, "before": "a", "after": "b"}
    reasons = explained(ENTRY.format(why="the same"))
    assert reason_of(mutant, reasons) == "the same"
    assert reason_of(mutant | {"after": "c"}, reasons) is None
    whatever = explained(ENTRY.replace('after = "b"\n', "").format(why="any"))
    assert reason_of(mutant | {"after": "c"}, whatever) == "any"


def test_an_entry_without_a_reason_is_refused() -> None:
    with pytest.raises(ValueError, match="no reason is given for 'a' in wait/pacing.py"):
        explained(ENTRY.format(why=" "))


def test_each_reason_is_of_code_that_is_there() -> None:
    for file, before, _ in explained(FILE.read_text()):
        lines = [line.strip() for line in (PACKAGE / file).read_text().splitlines()]
        assert all(line in lines for line in before.splitlines()), f"{file} has no {before!r} any more"


def test_each_room_has_files_and_each_test_is_there() -> None:
    for room in ROOMS:
        assert list(PACKAGE.glob(room)), room
    assert [path for path in TESTS if not Path(path).exists()] == []
    assert files("wait_trigger") == [f"{PACKAGE}/tasks/wait_trigger.py"]


def test_the_tests_of_a_change_are_those_that_run_its_line_the_quick_ones_first() -> None:
    file, first = WAITED, line_of("return max(")
    choice = Choice(
        {
            "tests/sandbox/a": Run(0.1, True, {file: [first]}),
            "tests/unit/slow": Run(0.9, True, {file: [first]}),
            "tests/unit/quick": Run(0.2, True, {file: [first]}),
            "tests/unit/other": Run(0.1, True, {file: [1], "elsewhere": [first]}),
            "tests/unit/red": Run(0.1, False, {file: [first]}),
        }
    )
    tests = choice.tests({"file": file, "line": first, "before": "one line"})
    assert tests == ["tests/unit/quick", "tests/unit/slow", "tests/sandbox/a"]
    assert choice.within(tests, 1.0) == ["tests/unit/quick"]
    assert choice.within(tests, 1.3) == tests
    outside = choice.tests({"file": file, "line": 1, "before": "import"})
    assert outside == ["tests/unit/other", *tests]


def test_a_function_is_swapped_where_it_stands_below_its_decorators(loaded: Any) -> None:
    imported, made = loaded.doubled, loaded.Box(4)
    assert swap("swapped_here.py", CODE.replace("* 2", "* 3").replace("+ 1", "- 1"))
    assert (imported(5), made.more) == (15, 3)


@pytest.mark.parametrize(
    "changed", [("size: int = 1", "size: int = 2"), ("@property\n", "\n"), ("LIMIT = 7", "LIMIT = 8")]
)
@pytest.mark.usefixtures("loaded")
def test_a_change_outside_of_functions_needs_a_new_import(changed: tuple[str, str]) -> None:
    assert not swap("swapped_here.py", CODE.replace(*changed))


def test_a_module_that_only_the_tests_import_is_swapped_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "swapped_later.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "swapped_later", sys)  # taken away at the end, whatever is there by then
    del sys.modules["swapped_later"]
    assert swap("swapped_later.py", CODE.replace("* 2", "* 3"))
    assert importlib.import_module("swapped_later").doubled(5) == 15


def test_a_trial_that_fails_by_itself_is_not_a_mutant_noticed(tmp_path: Path) -> None:
    status = ended_well(forked(lambda: [][0]), 60)
    assert status == BROKEN
    with pytest.raises(RuntimeError, match=f"see {tmp_path}"):
        told(status, tmp_path)


def test_a_test_that_ends_the_process_notices_the_mutant(tmp_path: Path) -> None:
    assert told(ended_well(forked(sys.exit), 60), tmp_path) == 1


def test_survivors_that_a_run_does_not_try_are_kept_for_the_next(tmp_path: Path) -> None:
    path = tmp_path / "survivors.jsonl"
    first, second, third = (["operator", "wait/pacing.py", before, "b"] for before in ("a", "c", "d"))
    note([first, second], [first, second], path)
    note([first, third], [third], path)
    assert noted(path) == [second, third]


def test_without_a_run_before_there_are_no_survivors_to_try_again(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="`make mutants` without AGAIN=1 notes them"):
        noted(tmp_path / "survivors.jsonl")
