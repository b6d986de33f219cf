"""A wait for a turn, alone in its queue: how often it asks the provider, and what it tells meanwhile."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import BaseHook, Connection

from opensearch_batch.errors import Refused, Unavailable
from opensearch_batch.submit.admission import LiveJob, Wanted
from opensearch_batch.tasks import turn_trigger
from opensearch_batch.tasks.turn_trigger import Turn, TurnTrigger, read_turn

FULL = [LiveJob("batch_1", "file-1", 10)]


class Asking(TurnTrigger):
    """The provider's answers in order: what is in flight, or an error."""

    answers: list[Any]

    async def _count(self) -> list[LiveJob]:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return list(answer)


def waited(monkeypatch: pytest.MonkeyPatch, *answers: Any, chance: int = 0) -> tuple[int, list[str]]:
    """Return how often the wait went round until its turn had come, and what it told. `chance` 0 is the shortest pause,
    1 the longest.
    """
    told: list[str] = []

    def tell(text: str, *values: Any) -> None:
        told.append(text % values)

    monkeypatch.setattr(Asking, "log", SimpleNamespace(info=tell, warning=tell))
    monkeypatch.setattr(turn_trigger, "random", SimpleNamespace(uniform=lambda *bounds: bounds[chance]))
    trigger = Asking(
        wanted=Wanted("shard 0", 5, since=7.0).to_dict(),
        max_jobs=1,
        max_tokens=None,
        model=None,
        provider="openai",
        provider_conn_id="openai_default",
        poll_seconds=0.02,
    )
    trigger.answers, rounds = list(answers), list[int]()
    asyncio.run(trigger._wait(Wanted.from_dict(trigger.wanted), rounds.append))
    assert not trigger.answers
    assert set(rounds) == {1}, "one wait more, told anew each time"
    return len(rounds), told


@pytest.mark.parametrize("name", ["PROVIDER", "OPENSEARCH", "CREDENTIAL"])
def test_an_event_shows_no_key_of_the_connections_through_which_its_jobs_are_cancelled(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = f"fake-key-of-a-turn-at-{name}".lower()
    monkeypatch.setenv(f"AIRFLOW_CONN_{name}_OF_TURN", f"http://user:{key}@127.0.0.1")

    class Echo(TurnTrigger):
        async def wait(self) -> dict[str, Any]:
            raise Refused(f"the key {key} is not valid")

    trigger = Echo(
        wanted={},
        max_jobs=1,
        max_tokens=None,
        model=None,
        provider="openai",
        provider_conn_id="provider_of_turn",
        poll_seconds=1.0,
        opensearch_conn_id="opensearch_of_turn",
        credential_conn_ids=["credential_of_turn"],
    )

    async def event() -> Any:
        return [each.payload async for each in trigger.run()]

    (told,) = asyncio.run(event())
    assert told["error"] == "Refused: the key *** is not valid"


def test_one_that_an_earlier_version_stored_asks_for_no_connection_without_a_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    async def connection(conn_id: str) -> Connection:
        asked.append(conn_id)
        return Connection(conn_id=conn_id, conn_type="openai", password="sk-fake-of-an-earlier-turn")

    monkeypatch.setattr(BaseHook, "aget_connection", connection)
    stored: dict[str, Any] = {
        "wanted": Wanted("shard 0", 5, since=7.0).to_dict(),
        "max_jobs": 1,
        "max_tokens": None,
        "model": None,
    }
    trigger = Asking(**stored, provider="openai", provider_conn_id="openai_default", poll_seconds=0.02)
    trigger.answers = [[]]

    async def event() -> Any:
        return [each.payload async for each in trigger.run()]

    assert [told["since"] for told in asyncio.run(event())] == [7.0]
    assert asked == ["openai_default"]


@pytest.mark.parametrize("chance", [0, 1])
def test_alone_in_the_queue_it_asks_at_each_round(monkeypatch: pytest.MonkeyPatch, chance: int) -> None:
    assert waited(monkeypatch, FULL, FULL, FULL, [], chance=chance)[0] == 4


def test_how_long_the_queue_is_is_told_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    assert waited(monkeypatch, FULL, FULL, FULL, [])[1] == [
        "shard 0 waits for its turn: at least 1 jobs are in flight, 1 wait in this triggerer",
        "shard 0: its turn has come",
    ]


def test_of_a_provider_that_does_not_answer_nothing_is_told_but_that(monkeypatch: pytest.MonkeyPatch) -> None:
    told = ["shard 0: no answer from the provider, asking again: HTTP 503", "shard 0: its turn has come"]
    assert waited(monkeypatch, Unavailable("HTTP 503"), []) == (2, told)


def event_of(**wanted: Any) -> Any:
    trigger = Asking(
        wanted=Wanted("shard 0", 0, since=7.0, **wanted).to_dict(),
        max_jobs=None,
        max_tokens=None,
        model=None,
        provider="openai",
        provider_conn_id="openai_default",
        poll_seconds=16.0,
        carried=[{"a": 1}],
    )
    trigger.answers = []
    return asyncio.run(trigger.wait()) | {"version": 1}


def test_a_wait_for_another_try_asks_nobody_and_comes_at_its_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    times, paused = [100.0], list[float]()

    async def pause(seconds: float) -> None:
        paused.append(seconds)
        times.append(times[-1] + seconds)

    monkeypatch.setattr(turn_trigger, "time", SimpleNamespace(time=lambda: times[-1]))
    monkeypatch.setattr(turn_trigger, "random", SimpleNamespace(uniform=lambda least, most: most / 2))
    monkeypatch.setattr(asyncio, "sleep", pause)
    event = event_of(not_before=140.0, awaits="room", fruitless_since=50.0)
    assert read_turn(event) == Turn([{"a": 1}], 7.0, 50.0)
    assert paused == [16.0, 16.0, 16.0], "half a round after the hour, told anew each round"


def test_a_turn_brings_back_what_the_task_needs_to_go_on() -> None:
    assert read_turn({"version": 1, "carried": {"a": 1}, "since": 7.0}) == Turn({"a": 1}, 7.0)
    assert read_turn({"version": 1}) == Turn()
