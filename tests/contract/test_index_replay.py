"""Indices and documents are held to recorded exchanges too: they agree, or the difference is listed with its reason."""

from __future__ import annotations

import pytest

from tests.contract.conftest import REPLAY_REPORT
from tests.contract.index_differences import KNOWN
from tests.contract.index_replay import PROFILES, Compared, play, steps


@pytest.fixture(scope="module", params=PROFILES)
def played(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[Compared]]:
    profile = request.param
    compared = play(profile, tmp_path_factory.mktemp("index"))
    agree = sum(not one.differences for one in compared)
    lines = [f"{profile}: {agree} of {len(compared)} recorded exchanges about indices agree"]
    lines += [f"  {name}: {reason}" for name, reason in KNOWN[profile].items()]
    request.config.stash[REPLAY_REPORT].append("\n".join(lines))
    return profile, compared


def test_each_exchange_agrees_or_its_difference_is_listed(played: tuple[str, list[Compared]]) -> None:
    profile, compared = played
    assert [one.name for one in compared] == [step.name for step in steps(profile) if step.response is not None]
    assert {one.name: one.differences for one in compared if one.differences and one.name not in KNOWN[profile]} == {}


def test_a_listed_difference_is_still_one(played: tuple[str, list[Compared]]) -> None:
    profile, compared = played
    assert set(KNOWN[profile]) == {one.name for one in compared if one.differences}
