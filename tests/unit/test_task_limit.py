"""At the task limit: each counted task is looked up where its job is, and nothing that goes wrong there is raised."""

from __future__ import annotations

from typing import Any

import pytest

from opensearch_batch import providers
from opensearch_batch.cluster.ml_commons import Call, Hit
from opensearch_batch.errors import Refused, Unavailable
from opensearch_batch.submit.task_limit import MOST_LOOKS, free_ended_tasks
from tests.unit.fakes import World


class Provider(World):
    """Its jobs by id; an error stands for what it says of one."""

    def __init__(self, **jobs: Any) -> None:
        super().__init__()
        self.found, self.asked = jobs, [""]

    def get_job(self, job_id: str) -> dict[str, Any]:
        self.asked.append(job_id)
        job = self.found[job_id]
        if isinstance(job, Exception):
            raise job
        return {"id": job_id, "status": job, "output_file_id": "file-o"}


def hits(*job_ids: str, status: str = "validating") -> list[Hit]:
    return [Hit(f"task-{id}", {"state": "RUNNING", "remote_job": {"id": id, "status": status}}) for id in job_ids]


class Cluster:
    """Answers the search with `counted`, and a look with the next of `looks`."""

    def __init__(self, counted: Any, *looks: Any) -> None:
        self.counted, self.looks = counted, list(looks)

    def send(self, call: Call) -> Any:
        answer = self.counted if call.name == "search tasks" else self.looks.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_each_task_is_told_by_what_its_job_is() -> None:
    gone, down = Refused("HTTP 404: No batch found", status=404), Unavailable("HTTP 503", status=503)
    store = Provider(a="completed", b="failed", c=gone, d=down, e="in_progress")
    cluster = Cluster(hits("a", "b", "c", "d", "e"), {"state": "COMPLETED"}, Refused("private ip address"))
    counted = free_ended_tasks(cluster.send, store, providers.DEFAULT)
    assert (counted.counted, counted.freed, counted.ended, counted.unknown) == (
        5,
        ("task task-a (job a, completed)",),
        ("task task-b (job b, failed)",),
        ("task task-c (job c)",),
    )
    assert not cluster.looks, "only the ended ones were looked at"


def test_a_word_that_the_cluster_does_not_map_gives_no_place_back() -> None:
    """Before 2.19 `failed` leaves a task RUNNING."""
    counted = free_ended_tasks(Cluster(hits("b"), {"state": "RUNNING"}).send, Provider(b="failed"), providers.DEFAULT)
    assert (counted.freed, counted.ended) == ((), ("task task-b (job b, failed)",))
    assert str(counted) == (
        "Counted tasks: 1. Ended at the provider, but counted until the cluster sees it: task task-b (job b, failed)."
    )


def test_what_gave_a_place_back_and_what_is_not_to_be_found_are_told_alone() -> None:
    freed = free_ended_tasks(Cluster(hits("a"), {"state": "FAILED"}).send, Provider(a="failed"), providers.DEFAULT)
    told = "Counted tasks: 1. Ended, and looked at, which gives their place back: task task-a (job a, failed)."
    assert str(freed) == told
    gone = Provider(c=Refused("HTTP 404: No batch found", status=404))
    unknown = free_ended_tasks(Cluster(hits("c")).send, gone, providers.DEFAULT)
    assert str(unknown) == "Counted tasks: 1. Not to be found with this connection's key: task task-c (job c)."


def test_a_task_of_another_kind_of_provider_is_left_alone() -> None:
    store = Provider()
    counted = free_ended_tasks(Cluster(hits("a", status="InProgress")).send, store, providers.DEFAULT)
    assert (counted.counted, store.asked) == (1, [""])


@pytest.mark.parametrize(
    ("jobs", "none"),
    [
        ({"a": "failed"}, True),
        ({"a": "failed", "b": "in_progress"}, False),
        ({"a": "failed", "b": Refused("HTTP 404: No batch found", status=404)}, False),
        ({"a": "failed", "b": Unavailable("HTTP 503", status=503)}, False),
        ({}, False),
    ],
    ids=["all have ended", "one runs", "one has another key", "one may run", "none is shown"],
)
def test_no_place_comes_free_by_itself_where_the_cluster_sees_the_end_of_no_job(
    jobs: dict[str, Any], none: bool
) -> None:
    cluster = Cluster(hits(*jobs), {"state": "RUNNING"})
    assert free_ended_tasks(cluster.send, Provider(**jobs), providers.DEFAULT).none_comes_free is none


def test_a_place_may_come_free_where_the_cluster_could_not_look_at_this_moment() -> None:
    """As where another task has it look at the same time."""
    counted = free_ended_tasks(
        Cluster(hits("a"), Unavailable("HTTP 409")).send, Provider(a="failed"), providers.DEFAULT
    )
    assert (counted.counted, counted.ended, counted.none_comes_free) == (1, (), False)


def test_looks_are_bounded() -> None:
    ids = [f"j{n}" for n in range(MOST_LOOKS + 5)]
    store = Provider(**dict.fromkeys(ids, "in_progress"))
    counted = free_ended_tasks(Cluster(hits(*ids)).send, store, providers.DEFAULT)
    assert len(store.asked) == 1 + MOST_LOOKS
    assert str(counted) == f"Counted tasks: {MOST_LOOKS + 5}. None of their jobs is known to have ended."


def test_tasks_that_may_not_be_searched_are_said_to_be() -> None:
    counted = free_ended_tasks(Cluster(Refused("no permissions for [x]")).send, Provider(), providers.DEFAULT)
    assert (counted.freed, str(counted)) == ((), "The counted tasks could not be listed: no permissions for [x]")
