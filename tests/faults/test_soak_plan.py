"""A soak is the same for the same seed, and finds memory that grows."""

from __future__ import annotations

import runpy
from pathlib import Path

from stack.vendors import VENDORS
from tests.faults.cells import LEAST_ROWS, ROWS_A_JOB, Cell
from tests.faults.rounds import PARTS, STRIKES, strikes_at
from tests.faults.soak_plan import PARTS_A_WAVE, is_flat, waves_of

MB = 1 << 20


def jobs_of(cell: Cell) -> int:
    return -(-cell.rows // ROWS_A_JOB[cell.vendor])


def test_a_seed_draws_the_same_batches_of_all_vendors_each_run_with_a_fault_of_its_own() -> None:
    waves = waves_of(1, 300, 8)
    cells = [cell for wave in waves for cell in wave]
    assert waves == waves_of(1, 300, 8) != waves_of(2, 300, 8)
    assert sum(map(jobs_of, cells)) == 300
    assert len({cell.run_id for cell in cells}) == len(cells)
    assert {cell.vendor for cell in cells} == set(VENDORS)
    assert {cell.fault for seed in (1, 2, 3) for wave in waves_of(seed, 300, 8) for cell in wave} == set(STRIKES)
    assert all(cell.step and strikes_at(cell.fault, cell.step) and cell.rows >= cell.step.nth for cell in cells)


def test_a_wave_strikes_few_parts_and_no_job_is_below_what_its_vendor_takes() -> None:
    for wave in waves_of(3, 300, 8):
        assert len({cell.fault for cell in wave} & set(PARTS)) <= PARTS_A_WAVE
        assert all(cell.rows % ROWS_A_JOB[cell.vendor] == 0 for cell in wave if cell.vendor in LEAST_ROWS)


def test_a_full_job_is_as_the_runs_have_it() -> None:
    dags = runpy.run_path(str(Path(__file__).with_name("dags") / "cells.py"))
    assert {vendor: dags["spec_of"](vendor).limits.max_requests for vendor in VENDORS} == ROWS_A_JOB


def test_memory_that_grows_with_the_batches_is_not_flat() -> None:
    assert is_flat([300 * MB, 310 * MB, 290 * MB, 320 * MB, 305 * MB, 315 * MB])
    assert is_flat([300 * MB])
    assert is_flat([189 * MB, 435 * MB, 471 * MB, 294 * MB]), "the first was taken soon after a restart"
    assert not is_flat([189 * MB, 294 * MB, 435 * MB, 530 * MB])
    assert not is_flat([(300 + 10 * number) * MB for number in range(30)])
