"""Which tests a mutant of a room has to pass: the near ones take a second, the far ones are for those that live on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path("plugins/opensearch_batch")
UNIT, SANDBOX = "tests/unit", "tests/sandbox"


@dataclass(frozen=True)
class Room:
    """`files` are globs below the package; `near` and `slow` name test files of tests/unit, without `test_`, and `far`
    those of tests/sandbox.
    """

    files: tuple[str, ...]
    near: tuple[str, ...]
    far: tuple[str, ...]
    slow: tuple[str, ...] = ()


ROOMS = (
    Room(
        ("submit/*.py",),
        (
            "submission",
            "submission_guards",
            "admission",
            "claims",
            "shares",
            "task_limit",
        ),
        ("same_input", "share", "admission", "bundles", "task_limit"),
        ("orphans", "submission_any_order"),
    ),
    Room(
        ("wait/*.py",),
        ("waiting", "looking", "job_list", "jobs", "pacing", "progress", "settling", "refusals", "refused_keys"),
        ("wait_ends", "waits", "odd_answers", "promises"),
    ),
    Room(
        ("land/*.py",),
        (
            "reconcile",
            "unlanded",
            "manifest",
            "vectors",
            "grouping",
            "odd_answers",
            "hostile_lines",
        ),
        ("results", "repair", "flow", "earlier_try", "manifests", "bad_outcomes", "bad_rows", "twins", "grouped"),
        ("rows_any_order",),
    ),
    Room(
        ("tasks/*trigger.py", "trigger.py", "turn.py"),
        ("stored_paths", "wait_trigger", "admission"),
        ("admission", "waits", "wait_ends", "share", "promises"),
    ),
)


def files_of(room: Room) -> list[str]:
    return sorted(str(path) for pattern in room.files for path in PACKAGE.glob(pattern) if path.name != "__init__.py")


def room_of(path: str) -> Room:
    return next(room for room in ROOMS if path in files_of(room))


def near(room: Room, path: str = "") -> list[str]:
    """Those first that name the module at `path`: most changes end there."""
    module = f"{PACKAGE.name}.{path.removeprefix(f'{PACKAGE}/').removesuffix('.py').replace('/', '.')} "
    tests = [f"{UNIT}/test_{name}.py" for name in room.near]
    return sorted(tests, key=lambda test: module not in Path(test).read_text())


def far(room: Room) -> list[str]:
    return [*(f"{UNIT}/test_{name}.py" for name in room.slow), *(f"{SANDBOX}/test_{name}.py" for name in room.far)]
