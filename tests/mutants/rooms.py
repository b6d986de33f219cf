"""Rooms: the files that are changed, and the tests that have to notice."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path("plugins/opensearch_batch")
ROOMS = ("submit/*.py", "wait/*.py", "land/*.py", "tasks/*trigger.py", "trigger.py", "turn.py")

SANDBOX = (
    "acts",
    "admission",
    "bad_outcomes",
    "bad_rows",
    "bundles",
    "earlier_try",
    "finish_by",
    "flow",
    "grouped",
    "landing_order",
    "manifests",
    "odd_answers",
    "orphans",
    "output_schema",
    "promises",
    "repair",
    "results",
    "same_input",
    "share",
    "task_limit",
    "twins",
    "wait_ends",
    "waits",
)
"""Those files of tests/sandbox that are about the rooms, without `test_`."""

TESTS = ("tests/unit", "tests/stores", *(f"tests/sandbox/test_{name}.py" for name in SANDBOX))


def files(only: str = "") -> list[str]:
    """Return the rooms' files, those with `only` in their path."""
    found = [str(path) for room in ROOMS for path in PACKAGE.glob(room) if path.name != "__init__.py"]
    return sorted(path for path in found if only in path)
