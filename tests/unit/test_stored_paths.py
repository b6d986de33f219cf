"""What Airflow's database holds of a wait in flight: the triggers' import paths and the names of their arguments.

A release that changed either would strand every wait that began before it.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from airflow.sdk._shared.module_loading import import_string

from opensearch_batch.errors import Terminal
from opensearch_batch.tasks.stored_trigger import StoredTrigger, read_event
from opensearch_batch.tasks.turn_trigger import TurnTrigger
from opensearch_batch.tasks.wait_trigger import BatchTrigger

WAIT: dict[str, Any] = {
    "version": 1,
    "jobs": [],
    "provider": "openai",
    "opensearch_conn_id": "opensearch_default",
    "provider_conn_id": "openai_default",
    "poll_seconds": 60.0,
    "deadline": 1_800_000_000.0,
    "cancel_on_kill": True,
    "told": [],
    "since": 1_799_900_000.0,
    "credential_conn_ids": [],
}
TURN = {
    "version": 1,
    "wanted": {},
    "max_jobs": 2,
    "max_tokens": None,
    "model": "text-embedding-3-small",
    "provider": "openai",
    "provider_conn_id": "openai_default",
    "poll_seconds": 60.0,
    "carried": None,
    "job": {},
    "jobs": [],
    "opensearch_conn_id": "opensearch_default",
    "cancel_on_kill": True,
    "credential_conn_ids": [],
}
STORED = [
    ("opensearch_batch.trigger.BatchTrigger", WAIT, BatchTrigger),
    ("opensearch_batch.turn.TurnTrigger", TURN, TurnTrigger),
]


@pytest.mark.parametrize(("path", "arguments", "trigger"), STORED)
def test_a_stored_trigger_is_made_again_and_stored_alike(
    path: str, arguments: dict[str, Any], trigger: type[StoredTrigger]
) -> None:
    stored = import_string(path)
    assert stored is trigger
    assert stored(**arguments).serialize() == (path, arguments)


@pytest.mark.parametrize(("path", "arguments", "trigger"), STORED)
@pytest.mark.parametrize("version", [0, 2])
def test_a_wait_of_another_version_is_made_and_ends_for_good_whichever_is_newer(
    path: str,
    arguments: dict[str, Any],
    trigger: type[StoredTrigger],
    version: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An error of the constructor would end the triggerer, and the waits of all DAGs with it."""
    monkeypatch.setenv("AIRFLOW_CONN_OPENAI_DEFAULT", "openai://:sk-fake@127.0.0.1")
    monkeypatch.setenv("AIRFLOW_CONN_OPENSEARCH_DEFAULT", "http://127.0.0.1:9200")
    stored = {**arguments, "version": version}
    made = trigger(**stored)
    assert made.serialize() == (path, stored)

    async def events() -> list[Any]:
        return [each.payload async for each in made.run()]

    (event,) = asyncio.run(events())
    with pytest.raises(Terminal, match=f"a wait of version {version} cannot go on here .*clear its task"):
        read_event(event)


def test_a_wait_stored_before_credentials_were_told_is_made_all_the_same() -> None:
    stored_then: dict[str, Any] = {name: value for name, value in WAIT.items() if name != "credential_conn_ids"}
    assert BatchTrigger(**stored_then).serialize()[1] == WAIT


def test_a_wait_for_a_turn_stored_before_it_told_its_jobs_is_made_all_the_same() -> None:
    later = {"jobs", "opensearch_conn_id", "cancel_on_kill", "credential_conn_ids"}
    stored_then: dict[str, Any] = {name: value for name, value in TURN.items() if name not in later}
    assert TurnTrigger(**stored_then).serialize()[1] == {**TURN, "opensearch_conn_id": ""}


def test_a_wait_that_does_not_say_otherwise_cancels_its_jobs_when_a_person_ends_it() -> None:
    stored_then: dict[str, Any] = {name: value for name, value in WAIT.items() if name != "cancel_on_kill"}
    assert BatchTrigger(**stored_then).cancel_on_kill
