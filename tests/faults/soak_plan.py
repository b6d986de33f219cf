"""What a soak does, drawn from its seed, and when memory is flat. Values in, values out."""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from stack.vendors import VENDORS
from tests.faults.cells import LEAST_ROWS, Cell
from tests.faults.rounds import PARTS, STRIKES, strikes_at
from tests.faults.steps import FAILURES, steps_of

AT_ONCE = 8
"""Batches of a wave, which are struck by the same fault, each at its own step."""
GROWTH, SLACK_BYTES = 1.1, 20 << 20


@dataclass(frozen=True)
class Wave:
    fault: str
    cells: tuple[Cell, ...]


def waves_of(seed: int, batches: int) -> list[Wave]:
    """Faults that kill a part of Airflow, or the sandbox, are a third of all."""
    draw = random.Random(seed)
    waves = []
    for begin in range(0, batches, AT_ONCE):
        one_task = [fault for fault in STRIKES if fault not in PARTS]
        fault = draw.choice(draw.choices([one_task, list(PARTS)], [2, 1])[0])
        waves.append(
            Wave(fault, tuple(_cell(draw, fault, number) for number in range(begin, min(begin + AT_ONCE, batches))))
        )
    return waves


def _cell(draw: random.Random, fault: str, number: int) -> Cell:
    vendor = VENDORS[number % len(VENDORS)]
    step = draw.choice([step for step in steps_of(vendor) if strikes_at(fault, step) and step.text != FAILURES])
    return Cell(fault, step, vendor, rows=LEAST_ROWS.get(vendor, draw.randint(1, 8)), name=f"soak-{number}")


def is_flat(sampled: Sequence[float]) -> bool:
    """Whether the last third of the samples, in bytes, is as the first: a tenth more, and 20 MB, are no growth."""
    third = max(1, len(sampled) // 3)
    return statistics.median(sampled[-third:]) <= statistics.median(sampled[:third]) * GROWTH + SLACK_BYTES
