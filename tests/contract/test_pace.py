"""How the visible state of a job moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandbox.pace import Pace
from sandbox.server import Sandbox
from tests.contract.cluster import history
from tests.contract.conftest import Provider
from tests.patience import until

if TYPE_CHECKING:
    from pathlib import Path


def test_polls_move_one_state_at_a_time(tmp_path: Path) -> None:
    with Sandbox(tmp_path, pace="polls:2") as box:
        provider = Provider(box.url)
        batch_id = provider.start()
        # A state is not left before the work behind it is done: wait for that without counting as a status read.
        until(lambda: _done(box, batch_id), bool)
        seen = [provider.api.batches.retrieve(batch_id).status for _ in range(6)]
    assert seen == ["validating", "in_progress", "in_progress", "finalizing", "finalizing", "completed"]


def test_listing_is_not_a_status_read(tmp_path: Path) -> None:
    with Sandbox(tmp_path, pace="polls:1") as box:
        provider = Provider(box.url)
        provider.start()
        assert {provider.api.batches.list().data[0].status for _ in range(5)} == {"validating"}


def test_the_clock_moves_it_without_anyone_looking(tmp_path: Path) -> None:
    with Sandbox(tmp_path, pace="clock:0.3") as box:
        provider = Provider(box.url)
        batch_id = provider.start()
        seen = history(lambda: provider.api.batches.retrieve(batch_id).status, "completed")
    assert seen[0] == "validating"


@pytest.mark.parametrize("text", ["polls:0", "polls:x", "sometimes", "clock:-1", "instant:3"])
def test_a_wrong_pace_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="use instant, polls:N"):
        Pace.parse(text)


def _done(box: Sandbox, batch_id: str) -> bool:
    assert box.box is not None
    stored = box.box.state.get("batch", batch_id)
    assert stored is not None
    return bool(stored.body["work"]["done"])
