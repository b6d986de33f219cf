"""Indices and documents are held to recorded exchanges too: they agree, or the difference is listed with its reason."""

from __future__ import annotations

import pytest

from tests.contract.conftest import REPLAY_REPORT
from tests.contract.index_differences import KNOWN
from tests.contract.index_replay import PLAYS, PROFILES, Compared, play, steps

Played = tuple[str, str, list[Compared]]


@pytest.fixture(scope="module", params=[(profile, of) for profile in PROFILES for of in PLAYS], ids="-".join)
def played(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Played:
    profile, of = request.param
    compared = play(profile, of, tmp_path_factory.mktemp(of))
    agree = sum(not one.differences for one in compared)
    lines = [f"{profile}: {agree} of {len(compared)} recorded exchanges of the play {of} agree"]
    lines += [f"  {name}: {reason}" for name, reason in KNOWN[profile].items() if of == PLAYS[0]]
    request.config.stash[REPLAY_REPORT].append("\n".join(lines))
    return profile, of, compared


def test_each_exchange_agrees_or_its_difference_is_listed(played: Played) -> None:
    profile, of, compared = played
    assert [one.name for one in compared] == [step.name for step in steps(profile, of) if step.response is not None]
    assert {one.name: one.differences for one in compared if one.differences and one.name not in KNOWN[profile]} == {}


def test_a_listed_difference_is_still_one(played: Played) -> None:
    profile, of, compared = played
    names = {step.name for step in steps(profile, of)}
    assert set(KNOWN[profile]) & names == {one.name for one in compared if one.differences}
