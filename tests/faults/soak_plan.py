"""What a soak does, drawn from its seed, and when memory is flat. Values in, values out."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence

from stack.vendors import VENDORS
from tests.faults.cells import LEAST_ROWS, ROWS_A_JOB, Cell
from tests.faults.rounds import PARTS, STRIKES, strikes_at
from tests.faults.steps import FAILURES, steps_of

OF_ONE_TASK = [fault for fault in STRIKES if fault not in PARTS]
PART_SHARE = 1 / 3
"""Of a wave's runs, about: those that are struck by a fault of a part, which the others live through."""
PARTS_A_WAVE = 2
GROWTH, SLACK_BYTES = 1.1, 20 << 20


def waves_of(seed: int, batches: int, jobs_a_run: int, runs_a_wave: int = 10) -> list[list[Cell]]:
    """Runs of 1 to `2 * jobs_a_run - 1` jobs, each struck at a step of its own; `batches` jobs together. The runs of a
    wave are under way at once.
    """
    draw = random.Random(seed)
    waves: list[list[Cell]] = []
    left, number = batches, 0
    parts = itertools.cycle(draw.sample(list(PARTS), len(PARTS)))
    while left:
        of_parts = list(itertools.islice(parts, PARTS_A_WAVE))
        waves.append([])
        while left and len(waves[-1]) < runs_a_wave:
            fault = draw.choice(of_parts if draw.random() < PART_SHARE else OF_ONE_TASK)
            jobs = min(draw.randint(1, 2 * jobs_a_run - 1), left)
            waves[-1].append(_cell(draw, fault, number, jobs))
            left, number = left - jobs, number + 1
    return waves


def _cell(draw: random.Random, fault: str, number: int, jobs: int) -> Cell:
    vendor = VENDORS[number % len(VENDORS)]
    step = draw.choice([step for step in steps_of(vendor) if strikes_at(fault, step) and step.text != FAILURES])
    full = ROWS_A_JOB[vendor]
    last = draw.randint(max(LEAST_ROWS.get(vendor, 1), step.nth), full)
    return Cell(fault, step, vendor, rows=(jobs - 1) * full + last, name=f"soak-{number}")


def is_flat(sampled: Sequence[float]) -> bool:
    """Whether the greatest sample of the second half, in bytes, is as the first half's: a tenth more, and 20 MB, are no
    growth. The greatest, because a process swings between its collections of garbage, and one that was just started
    again is small.
    """
    half = (len(sampled) + 1) // 2
    return max(sampled[half:], default=0) <= max(sampled[:half]) * GROWTH + SLACK_BYTES
