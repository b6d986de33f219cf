"""A soak is the same for the same seed, and finds memory that grows."""

from __future__ import annotations

from stack.vendors import VENDORS
from tests.faults.rounds import PARTS, STRIKES, strikes_at
from tests.faults.soak_plan import is_flat, waves_of

MB = 1 << 20


def test_a_seed_draws_the_same_batches_of_all_vendors_each_with_a_run_of_its_own() -> None:
    waves = waves_of(1, 300)
    cells = [cell for wave in waves for cell in wave.cells]
    assert waves == waves_of(1, 300) != waves_of(2, 300)
    assert len({cell.run_id for cell in cells}) == 300
    assert {cell.vendor for cell in cells} == set(VENDORS)
    assert {wave.fault for seed in (1, 2, 3) for wave in waves_of(seed, 300)} == set(STRIKES) >= set(PARTS)
    assert all(cell.step and strikes_at(cell.fault, cell.step) for cell in cells)
    assert all(cell.fault == wave.fault for wave in waves for cell in wave.cells)


def test_memory_that_grows_with_the_batches_is_not_flat() -> None:
    assert is_flat([300 * MB, 310 * MB, 290 * MB, 320 * MB, 305 * MB, 315 * MB])
    assert is_flat([300 * MB])
    assert not is_flat([(300 + 10 * number) * MB for number in range(30)])
