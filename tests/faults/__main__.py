"""`python -m tests.faults`: play the matrix on a stack of its own, print it, keep each cell as it was played last. Exit
code 1 where a cell is red, or where none is without a guard.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

from stack.vendors import VENDORS
from tests.faults import last_run
from tests.faults.cells import LEAST_ROWS, ROWS, Cell
from tests.faults.field import Field, field
from tests.faults.matrix import Played, is_clean, summary
from tests.faults.rounds import OTHERS, STRIKES, play, strikes_at
from tests.faults.scenarios import SCENARIOS, play_round, rounds_of
from tests.faults.steps import WITHOUT_FAILED_ROWS, steps_of


def main() -> int:
    given = _arguments()
    began = time.monotonic()

    def say(what: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {what}", flush=True)

    with field() as found:
        say(f"stack on {found.stack.url}")
        played = []
        for cell in _played(found, given, say):
            told = "; ".join(cell.problems) or "ok"
            without = "".join(f", without {name}" for name in cell.removed)
            say(f"{cell.vendor}, {cell.fault}, {cell.step or '-'}{without}: {told}")
            played.append(cell)
            last_run.keep([cell])
    print(summary(played))
    return 0 if is_clean(played) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.faults", description=__doc__)
    parser.add_argument("--fault", action="append", choices=list(STRIKES), help="only this fault; may be repeated")
    parser.add_argument("--step", action="append", help="only steps with this in their name")
    parser.add_argument("--vendor", action="append", choices=VENDORS)
    parser.add_argument("--scenario", action="append", help="only scenarios with this in their name; - for none")
    return parser.parse_args()


def _played(found: Field, given: argparse.Namespace, say: Callable[[str], None]) -> Iterator[Played]:
    """The scenarios; each fault at each step of the first vendor; for the others one fault at each step."""
    today = datetime.now(UTC).date().isoformat()
    for lag, scenarios in rounds_of([each for each in SCENARIOS if _named(each.fault, given.scenario)]):
        for cell, verdict in play_round(found, scenarios, lag, say).items():
            yield Played.of(cell, verdict, today, scenario=True)
    for vendor in given.vendor or VENDORS:
        for fault in given.fault or (STRIKES if vendor == VENDORS[0] else [OTHERS]):
            steps = [step for step in steps_of(vendor) if strikes_at(fault, step) and _named(step.name, given.step)]
            if not steps:
                continue
            rows = LEAST_ROWS.get(vendor, ROWS)
            refuses = vendor not in WITHOUT_FAILED_ROWS
            found.calm(refuses=refuses)
            cells = [Cell(fault, step, vendor, rows=rows) for step in steps]
            for cell, verdict in play(found, cells, say, refuses=refuses).items():
                yield Played.of(cell, verdict, today)


def _named(name: str, words: Sequence[str] | None) -> bool:
    return not words or any(word in name for word in words)


if __name__ == "__main__":
    sys.exit(main())
