"""The matrix as text: of the cells of a run, for the terminal and for the docs. Values in, texts out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.faults.cells import Cell
from tests.faults.steps import GUARDS, steps_of
from tests.faults.verdict import Verdict

MISSING = "–"


@dataclass(frozen=True)
class Played:
    """A cell and its verdict on a `date` (YYYY-MM-DD). `step` is empty for a cell without a halt. `scenario` tells the
    faults that have cells of their own.
    """

    vendor: str
    fault: str
    step: str
    removed: tuple[str, ...]
    problems: tuple[str, ...]
    jobs: int
    tokens: int
    minutes: float
    cleared: bool
    date: str
    scenario: bool = False

    @classmethod
    def of(cls, cell: Cell, verdict: Verdict, date: str, *, scenario: bool = False) -> Played:
        place = cell.step.name if cell.step else ""
        told = (verdict.problems, verdict.jobs, verdict.tokens, round(verdict.minutes, 2), verdict.cleared, date)
        return cls(cell.vendor, cell.fault, place, cell.removed, *told, scenario)

    @property
    def cell(self) -> tuple[object, ...]:
        """What makes it the same cell: a scenario stays one where its step is another than in an earlier version."""
        return self.vendor, self.fault, "" if self.scenario else self.step, self.removed

    @property
    def word(self) -> str:
        return "**red**" if self.problems else "ok"


def with_new(kept: Iterable[Played], new: Iterable[Played]) -> list[Played]:
    """Each cell as it was played last; cells keep their places."""
    return [*({cell.cell: cell for cell in kept} | {cell.cell: cell for cell in new}).values()]


def summary(played: Sequence[Played]) -> str:
    """One line a figure, for the terminal."""
    whole = [cell for cell in played if not cell.removed]
    red = [cell for cell in whole if cell.problems]
    lines = [f"{len(whole)} cells, {len(whole) - len(red)} ok, {len(red)} red"]
    lines += [f"  RED {cell.vendor}, {cell.fault}, {cell.step or '-'}: {'; '.join(cell.problems)}" for cell in red]
    lines += [f"without {name}: {count} cells, {reds} red" for name, _, count, reds in guard_counts(played)]
    return "\n".join(lines)


def guard_counts(played: Sequence[Played]) -> list[tuple[str, str, int, int]]:
    """Name, what is removed, cells and red cells of each guard that was removed."""
    found = []
    for guard in GUARDS:
        cells = [cell for cell in played if guard.name in cell.removed]
        if cells:
            found.append((guard.name, guard.removes, len(cells), sum(bool(cell.problems) for cell in cells)))
    return found


def is_clean(played: Sequence[Played]) -> bool:
    """Every cell ended well, and every removed guard made a cell red."""
    return not any(cell.problems for cell in played if not cell.removed) and all(
        red for *_, red in guard_counts(played)
    )


def page(played: Sequence[Played], all_cells: int) -> str:
    """The page of the docs. `all_cells`: so many cells has a whole matrix with all guards."""
    whole = [cell for cell in played if not cell.removed]
    red = sum(bool(cell.problems) for cell in whole)
    dates = " to ".join(sorted({min(cell.date for cell in played), max(cell.date for cell in played)}))
    grid = [cell for cell in whole if not cell.scenario]
    parts = [
        "# What happens when something dies",
        "",
        "<!-- made by `make faults` -->",
        "",
        f"Played {dates}: {len(whole)} of the {all_cells} cells of `make faults`. "
        f"{len(whole) - red} ended well, {red} did not.",
        INTRODUCTION,
    ]
    vendors = dict.fromkeys(cell.vendor for cell in grid)
    for vendor in vendors:
        cells = [cell for cell in grid if cell.vendor == vendor]
        parts += ["", f"## {vendor}: each step of a run, each fault", "", *_grid(cells)]
    if scenarios := [cell for cell in whole if cell.scenario]:
        parts += ["", "## Faults of servers, and rows that change", "", *_costs(scenarios)]
    if counts := guard_counts(played):
        parts += ["", "## A guard removed", "", REMOVED, ""]
        parts += ["| removed | cells | red |", "|---|---|---|"]
        parts += [f"| {removes} | {count} | {reds} |" for _, removes, count, reds in counts]
    return "\n".join(parts) + "\n"


INTRODUCTION = """
A cell is a run of a few rows on a real scheduler, triggerer, API server and worker processes, with the
[sandbox](../../sandbox/README.md) as cluster and vendor. It is halted at its step from outside, struck there, and
goes on. A cell is `ok` where the run ends well, if need be after one clear of what failed; where the ledger shows each
row paid for once; where each row is once in what the manifest names; and where nothing is left: no partial file, no
result without an entry in the manifest, no input file and no claim without a job.

A cell's figures are the jobs made, the input tokens in the run's report, and the minutes from the fault to the end of
the run, on two busy cores. `–` was not played, or is a fault that cannot strike there. The settle time is at most
62 seconds here instead of 930, and what is called ten minutes at most 40 seconds."""
REMOVED = """The same cells with one of the looks before a payment taken away, by a switch from outside. A matrix that
stays green then would prove nothing."""


def _grid(cells: Sequence[Played]) -> Iterable[str]:
    faults = list(dict.fromkeys(cell.fault for cell in cells))
    by_place = {(cell.step, cell.fault): cell for cell in cells}
    yield _row("step", faults)
    yield _row("---", ["---"] * len(faults))
    for step in steps_of(cells[0].vendor):
        found = [by_place.get((step.name, fault)) for fault in faults]
        if any(found):
            yield _row(step.name, [_cell(cell) if cell else MISSING for cell in found])


def _cell(cell: Played) -> str:
    cleared = " (cleared)" if cell.cleared else ""
    return f"{cell.word}{cleared}: {cell.jobs}, {cell.tokens}, {cell.minutes:.1f}"


def _costs(cells: Sequence[Played]) -> Iterable[str]:
    yield _row("fault", ["step", "", "jobs", "tokens", "minutes"])
    yield _row("---", ["---"] * 5)
    for cell in cells:
        figures = [cell.step or MISSING, cell.word, str(cell.jobs), str(cell.tokens), f"{cell.minutes:.1f}"]
        yield _row(cell.fault, figures)


def _row(first: str, rest: Sequence[str]) -> str:
    return f"| {' | '.join([first, *rest])} |"
