"""The cells as they were played last, in a file, and the page of the docs made from it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import msgspec

from stack.airflow import CHECKOUT
from stack.vendors import VENDORS
from tests.faults.matrix import Played, page, with_new
from tests.faults.rounds import OTHERS, STRIKES, strikes_at
from tests.faults.scenarios import SCENARIOS
from tests.faults.steps import steps_of

KEPT = Path(__file__).with_name("last_run.json")
PAGE = CHECKOUT / "docs" / "explanation" / "faults.md"


def count() -> int:
    """The cells of a whole matrix with all guards: each fault at each step of the first vendor, one fault at those of
    the others, and the scenarios.
    """
    first, *others = VENDORS
    pairs = [(first, fault) for fault in STRIKES] + [(vendor, OTHERS) for vendor in others]
    return len(SCENARIOS) + sum(strikes_at(fault, step) for vendor, fault in pairs for step in steps_of(vendor))


def read(path: Path = KEPT) -> list[Played]:
    return msgspec.json.decode(path.read_bytes(), type=list[Played]) if path.exists() else []


def keep(new: Iterable[Played]) -> None:
    """A line a cell."""
    played = with_new(read(), new)
    cells = ",\n".join(json.dumps(asdict(cell)) for cell in played)
    KEPT.write_text(f"[\n{cells}\n]\n", encoding="utf-8")
    PAGE.write_text(page(played, count()), encoding="utf-8")
