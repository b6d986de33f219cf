"""What `make mutants` decides by itself: which tests a change has to pass, and what counts as explained."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants.explained import FILE, explained, reason_of
from tests.mutants.rooms import PACKAGE, ROOMS, far, files_of, near, room_of

ENTRY = '[[equivalent]]\nfile = "wait/pacing.py"\nbefore = "a"\nafter = "b"\nwhy = "{why}"\n'


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


def test_each_file_has_a_room_and_each_room_its_tests() -> None:
    for room in ROOMS:
        assert files_of(room)
        assert [path for path in near(room) + far(room) if not Path(path).exists()] == []
    assert room_of(f"{PACKAGE}/tasks/wait_trigger.py") is ROOMS[-1]
