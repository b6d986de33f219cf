"""Waits for several jobs: the provider's list answers for all of them, and each job's end is still looked at."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowSensorTimeout

from opensearch_batch import providers
from opensearch_batch.providers.store import ProviderStore, open_store
from tests.sandbox.bench import Run, Server, first_event, rebuilt, rows_of, timeless
from tests.sandbox.test_promises import REFUSES_LOOKS, deferred

LIST, CLUSTER, PROVIDER = "list", "cluster", "provider"
KINDS = {"/v1/batches": PROVIDER, "/_plugins/_ml/tasks": CLUSTER}


def another_run(run: Run, name: str) -> Run:
    (run.folder / name).mkdir()
    return Run(run.folder / name, name)


@pytest.fixture
def jobs(server: Server, model_id: str, run: Run) -> Any:
    """Four that run until they are let go, and a stranger's after them."""
    server.pace("polls:1000")
    made = run.submit(model_id, run.prepare(rows_of(7), max_requests=2))
    stranger = another_run(run, "stranger")
    stranger.submit(model_id, stranger.prepare(rows_of(1)))
    server.ask("DELETE", "/_sandbox/calls")
    assert len(made) == 4
    return made


def looks(server: Server) -> Counter[str]:
    """How often the list, the cluster and the provider were asked; the last by the cluster as well, in its looks."""
    made = Counter[str]()
    for call in server.calls:
        if call["method"] == "GET" and call["path"].startswith(("/v1/batches", "/_plugins/_ml/tasks/")):
            folder, _, id = call["path"].rpartition("/")
            made[LIST if id == "batches" else KINDS.get(folder, folder)] += 1
    return made


def waited(server: Server, triggers: list[Any], meanwhile: Callable[[], bool], then: Callable[[], None]) -> list[Any]:
    """The triggers' events, side by side in one loop; `then` is done when `meanwhile` has come true."""

    async def wait() -> list[Any]:
        async def event(trigger: Any) -> Any:
            return json.loads(json.dumps((await anext(trigger.run())).payload))

        waits = [asyncio.create_task(event(trigger)) for trigger in triggers]
        until = time.monotonic() + 20
        while not await asyncio.to_thread(meanwhile):
            assert time.monotonic() < until
            await asyncio.sleep(0.02)
        await asyncio.to_thread(then)
        return await asyncio.wait_for(asyncio.gather(*waits), 20)

    return asyncio.run(wait())


def test_one_list_answers_for_all_and_each_end_is_looked_at_through_the_cluster(
    server: Server, run: Run, jobs: Any
) -> None:
    waiting, stop = deferred(run, jobs)
    assert looks(server) == {}, "a bundle is not looked at before it is deferred"
    running = Counter[str]()

    def let_go() -> None:
        running.update(looks(server))
        server.pace("instant")

    (event,) = waited(server, [rebuilt(stop.trigger)], lambda: looks(server)[LIST] >= 5, let_go)
    assert running[CLUSTER] <= running[LIST], "one of four a round"
    outcomes = waiting.execute_complete(run.context(waiting), event)
    assert [outcome["state"] for outcome in outcomes] == ["completed"] * 4
    states = {task["_id"]: task["state"] for task in server.batch_tasks}
    assert [states[job["task_id"]] for job in jobs] == ["COMPLETED"] * 4
    alone = run.wait(jobs, deferrable=False, task_id="alone")
    assert timeless(outcomes) == timeless(alone), "as if each had been looked at by itself"
    assert run.fetch(outcomes)["report"]["answered"] == 7


def test_waits_of_one_process_share_their_walks(server: Server, model_id: str, run: Run, jobs: Any) -> None:
    third = another_run(run, "third")
    others = third.submit(model_id, third.prepare(rows_of(7), max_requests=2))
    stops = [deferred(run, bundle, poke_interval=0.2)[1] for bundle in (jobs, others)]
    server.ask("DELETE", "/_sandbox/calls")
    both = [rebuilt(stop.trigger) for stop in stops]
    counted = Counter[str]()

    def let_go() -> None:
        counted.update(looks(server))
        server.pace("instant")

    events = waited(server, both, lambda: looks(server)[CLUSTER] >= 16, let_go)
    assert [len(event["outcomes"]) for event in events] == [4, 4]
    assert counted[LIST] <= 0.75 * counted[CLUSTER], "each wait looks at one job a round, but does not walk for it"


def test_a_list_that_never_moves_on_does_not_hold_the_wait(server: Server, run: Run, jobs: Any) -> None:
    """In the sandbox a list call is no status read: only looks at the jobs move these."""
    server.pace("polls:2")
    assert [outcome["state"] for outcome in run.wait(jobs)] == ["completed"] * 4


@pytest.mark.parametrize(
    "fault",
    [
        {"fault": "list_lag", "seconds": 3600, "times": -1},
        {"fault": "answer", "path": "^/v1/batches$", "method": "GET", "status": 403, "body": "no lists", "times": -1},
        {"fault": "answer", "path": "^/v1/batches$", "method": "GET", "status": 503, "body": "busy", "times": -1},
        {"fault": "answer", "path": "^/v1/batches$", "method": "GET", "status": 200, "body": {"data": 7}, "times": -1},
    ],
    ids=["it lags", "it is refused", "it is down", "it is nonsense"],
)
def test_without_the_list_jobs_are_looked_at_singly(server: Server, run: Run, jobs: Any, fault: dict[str, Any]) -> None:
    server.ask("POST", "/_sandbox/faults", fault)
    server.pace("polls:2")
    assert [outcome["state"] for outcome in run.wait(jobs)] == ["completed"] * 4


def test_a_provider_that_asks_to_slow_down_is_not_asked_for_each_job_instead(
    server: Server, run: Run, jobs: Any
) -> None:
    _, stop = deferred(run, jobs)
    server.fault("answer", path="^/v1/batches$", method="GET", status=429, body={}, times=-1)

    def let_go() -> None:
        assert looks(server)[CLUSTER] == 0
        server.no_more_faults()
        server.pace("instant")

    (event,) = waited(server, [rebuilt(stop.trigger)], lambda: looks(server)[LIST] > 25, let_go)
    assert len(event["outcomes"]) == 4


def test_where_the_cluster_cannot_look_the_provider_confirms_the_end(server: Server, run: Run, jobs: Any) -> None:
    server.fault("answer", method="GET", path="/_plugins/_ml/tasks/", status=400, body=REFUSES_LOOKS, times=-1)
    server.pace("instant")
    outcomes = run.wait(jobs)
    assert [outcome["state"] for outcome in outcomes] == ["completed"] * 4
    assert run.fetch(outcomes)["report"]["answered"] == 7


def test_a_wait_that_an_older_version_began_goes_on(server: Server, run: Run, jobs: Any) -> None:
    from opensearch_batch.tasks.wait_trigger import BatchTrigger

    _, stop = deferred(run, jobs)
    arguments = stop.trigger.serialize()[1]
    del arguments["since"]
    server.pace("instant")
    assert len(first_event(BatchTrigger(**arguments))["outcomes"]) == 4


def test_how_far_it_came_is_kept(server: Server, run: Run, jobs: Any) -> None:
    server.pace("instant")
    waiting, stop = deferred(run, jobs)
    event = first_event(rebuilt(stop.trigger)) | {"waited_seconds": 2.0}
    waiting.execute_complete(run.context(waiting), event)
    kept = run.xcoms["wait", "progress"]
    assert (kept["rows"], kept["rows_done"], kept["jobs_ended"], kept["seconds_left"]) == (7, 7, 4, 0.0)
    assert kept["rows_per_second"] == 3.5


def test_the_error_of_a_time_out_says_how_far_it_came(server: Server, run: Run, jobs: Any) -> None:
    with pytest.raises(AirflowSensorTimeout, match=r"first look \(0 of 7 rows done, 0 of 4 jobs ended\); they were"):
        run.wait(jobs, timeout=0.3)


@pytest.fixture
def store() -> ProviderStore:
    return open_store(providers.DEFAULT, BaseHook.get_connection("openai_default"))


def test_a_walk_ends_where_it_has_found_all_or_may_go_no_further(
    server: Server, model_id: str, store: ProviderStore
) -> None:
    """Of 120 jobs the two oldest are on the second page."""
    line = {"custom_id": "r", "method": "POST", "url": "/v1/embeddings", "body": {"model": "m", "input": "x"}}
    file_id = server.upload([line])
    ids = []
    for _ in range(120):
        batch = {"input_file_id": file_id, "endpoint": "/v1/embeddings", "completion_window": "24h"}
        made = server.http.post("/v1/batches", json=batch, headers={"Authorization": "Bearer sk-sandbox-not-a-secret"})
        ids.append(made.raise_for_status().json()["id"])

    def pages(wanted: list[str], most_pages: int, since: float | None = None) -> tuple[list[str], int]:
        server.ask("DELETE", "/_sandbox/calls")
        found = store.list_jobs(frozenset(wanted), most_pages, since)
        return sorted(found), looks(server)[LIST]

    new, old = ids[-2:], ids[:2]
    assert pages(new, 9) == (sorted(new), 1)
    assert pages(old, 9) == (sorted(old), 2)
    assert pages(old, 1) == ([], 1)
    assert pages(["batch_unknown"], 9) == ([], 2)
    assert pages(["batch_unknown"], 9, since=1e12) == ([], 1)
    listed = store.list_jobs(frozenset(new), 9, None)[new[0]]
    assert providers.DEFAULT.read_job(listed) == providers.DEFAULT.read_job(store.get_job(new[0]))
