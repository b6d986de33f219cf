"""Faults on the lines of a job's results: lost, doubled, cut or foreign lines, rows that fail."""

from __future__ import annotations

from typing import Any

Faults = dict[str, dict[str, Any]]
TREATMENTS = ("lose_row", "duplicate_row", "cut_row")


def _count(faults: Faults, name: str) -> int:
    return int(faults[name].get("count", 1)) if name in faults else 0


class Damage:
    """Falls on the first lines of the job that there are, each kind as often as it was ordered."""

    def __init__(self, faults: Faults) -> None:
        self._treatments = [name for name in TREATMENTS for _ in range(_count(faults, name))]
        self.foreign = _count(faults, "foreign_row")

    def treat(self, line: bytes) -> list[bytes]:
        treatment = self._treatments.pop(0) if self._treatments else None
        if treatment == "lose_row":
            return []
        if treatment == "duplicate_row":
            return [line, line]
        if treatment == "cut_row":
            return [line[: len(line) // 2] + (b"\n" if line.endswith(b"\n") else b"")]
        return [line]


def is_ordered_to_fail(faults: Faults, index: int, names: set[str]) -> dict[str, Any] | None:
    """The parameters of the order, if the row at this place, or with one of these names, is to fail."""
    if "all_rows_fail" in faults:
        return faults["all_rows_fail"]
    params = faults.get("fail_rows")
    if params is None:
        return None
    chosen = bool(names & set(params["ids"])) if "ids" in params else index < int(params.get("count", 1))
    return params if chosen else None
