"""A rejected night leaves index, alias and checkpoint as they were: the next night finds the same documents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from tests.index.bench import Fill, Index, articles
from tests.index.beside import Beside, behind
from tests.sandbox.approving import answer, ask
from tests.sandbox.bench import Server

Night = Callable[..., Fill]
ASKS = {"ask_above_usd": 0}


def reject(run: Fill) -> None:
    assert ask(run.run, run.prepared_by) is not None
    assert answer(run.run, "Reject") == ["next"]
    with pytest.raises(AirflowSkipException, match="nothing was sent"):
        run.report(None)


def test_the_documents_of_a_rejected_night_are_found_in_the_next(index: Index, night: Night, server: Server) -> None:
    index.add(articles(30))
    night().through()
    index.edit("a3", body="another text")
    index.add(articles(5, begin=30))
    before, jobs = index.seq_nos, len(server.ledger)
    rejected = night("night-2", limits=ASKS)
    rejected.prepare()
    assert rejected.plan["records"] == 6
    reject(rejected)
    assert (index.seq_nos, len(server.ledger)) == (before, jobs)
    third = night("night-3")
    assert third.through()["written"]["written"] == 6
    assert index.vectors == set(index.hits)


def test_the_first_night_rejected_is_as_if_it_had_not_been(index: Index, night: Night) -> None:
    index.add(articles(8))
    rejected = night(limits=ASKS)
    rejected.prepare()
    reject(rejected)
    assert night("night-2").through()["written"]["written"] == 8


def test_a_rejected_night_may_be_cleared_and_approved(index: Index, night: Night) -> None:
    index.add(articles(8))
    run = night(limits=ASKS)
    shards = run.prepare()
    reject(run)
    assert ask(run.run, run.prepared_by) is not None
    assert answer(run.run, "Approve") == []
    landed = run.land(shards)
    run.write(landed)
    report = run.report(landed)
    assert (report["written"]["written"], report["approval"]["answer"]) == (8, "approved")


def test_a_rejected_change_of_the_model_leaves_the_alias(
    aliased: Index, change: Callable[..., Beside], server: Server
) -> None:
    before = aliased.hits
    run = change(limits=ASKS)
    run.make()
    run.copy()
    run.prepare()
    reject(run)
    assert behind(aliased.cluster) == {aliased.name}
    assert aliased.hits == before
    assert server.ledger == []
    again: Any = change("change-2")
    assert again.through()["swapped"]["documents"] == 40
