"""The shards of a run's page: what they are made of, and which task's word counts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from opensearch_batch.flow.shards import ONLINE, shard_name
from opensearch_batch.pages.reasons import reasons_of
from opensearch_batch.pages.shards import ShardSeen, counted, link_of, shards_of, shards_seen
from opensearch_batch.pages.stored import Pushed
from opensearch_batch.pages.told import ToldJob, told
from opensearch_batch.pages.told_run import ToldReport

STORED = json.loads((Path(__file__).parent / "stored" / "run.json").read_text(encoding="utf-8"))
REPORT = told(STORED["report"], ToldReport)
LINK = f"https://vendor.example/jobs/{STORED['jobs'][0]['provider_job_id']}"


def pushed(task_id: str, name: str, value: Any) -> Pushed:
    return Pushed("nightly", "r", task_id, -1, name, value)


def stored() -> dict[str, Pushed]:
    """What the tasks of a run left, its repair round too."""
    return {
        "bundles": pushed("prepare_input", "bundles", STORED["bundles"]),
        "jobs": pushed("shard.submit_batch", "jobs", STORED["jobs"]),
        "link": pushed("shard.submit_batch", "link", LINK),
        "outcomes": pushed("shard.wait_for_batch", "outcomes", STORED["outcomes"]),
        "fetched": pushed("shard.fetch_output", "landed", STORED["fetched"]),
        "repair_bundles": pushed("prepare_repair_1", "bundles", STORED["repair_bundles"]),
        "repair_jobs": pushed("repair_1.submit_batch", "jobs", STORED["repair_jobs"]),
        "repair_fetched": pushed("repair_1.fetch_output", "landed", STORED["repair_fetched"]),
    }


def until(name: str) -> list[ShardSeen]:
    """The shards as a page shows them when the run has come so far."""
    names = [*stored()]
    return shards_seen([stored()[each] for each in names[: names.index(name) + 1]])


def task_of(seen: ShardSeen) -> str:
    assert seen.instance is not None
    return seen.instance[2]


def test_a_run_that_has_landed_has_the_reports_figures() -> None:
    assert REPORT is not None
    shards = until("repair_fetched")
    assert [seen.name for seen in shards] == ["shard 0", "shard 1", "shard 0 of repair 1"]
    total = counted(shards)
    assert (total["answered"], total["failed"], total["missing"]) == (REPORT.answered, REPORT.failed, REPORT.missing)
    again = {reason.code: reason.again for reason in reasons_of(shards, None)}
    assert again == REPORT.passing == {reason.code: reason.again for reason in reasons_of(shards, REPORT)}


@pytest.mark.parametrize(
    ("step", "state", "counts", "task"),
    [
        ("bundles", "not submitted yet", {}, "prepare_input"),
        ("link", "in flight", {}, "shard.submit_batch"),
        ("outcomes", "expired", {"done": 2, "failed": 2}, "shard.wait_for_batch"),
        ("fetched", "expired", {"answered": 2, "again": 4, "failed": 0, "missing": 0}, "shard.fetch_output"),
    ],
)
def test_a_shard_is_shown_as_far_as_it_is(step: str, state: str, counts: dict[str, int], task: str) -> None:
    first = until(step)[0]
    assert (first.name, first.rows, first.state, first.counts, task_of(first)) == ("shard 0", 6, state, counts, task)


def test_the_rows_done_are_those_of_the_last_look() -> None:
    jobs = STORED["jobs"]
    looked = {"seen_at": 1.0, "progress": {}, "rows_done": {jobs[1]["provider_job_id"]: 5}}
    values = [stored()["bundles"], stored()["jobs"], pushed("shard.wait_for_batch", "waiting", looked)]
    assert [seen.counts for seen in shards_seen(values)] == [{}, {"done": 5}]


def test_each_job_has_its_own_address_at_the_vendor() -> None:
    assert [seen.link for seen in until("fetched")] == [
        f"https://vendor.example/jobs/{job['provider_job_id']}" for job in STORED["jobs"]
    ]


def job(job_id: str) -> ToldJob:
    return ToldJob(job_id)


@pytest.mark.parametrize(
    ("link", "made"),
    [
        ("https://console.example/?r=eu#/transform-jobs/first", "https://console.example/?r=eu#/transform-jobs/second"),
        ("https://console.example/all-jobs", "https://console.example/all-jobs"),
        ("javascript:alert(1)//first", ""),
        ("", ""),
    ],
)
def test_an_address_without_the_id_is_of_all_jobs(link: str, made: str) -> None:
    first, second = job("arn:x:y:eu:1:job/first"), job("arn:x:y:eu:1:job/second")
    assert link_of(second, first, link) == made


def test_a_job_without_an_id_leaves_the_address() -> None:
    assert link_of(job("b"), job(""), "https://vendor.example/x") == "https://vendor.example/x"


def test_what_an_earlier_preparation_left_is_no_shard() -> None:
    again = json.loads(json.dumps(STORED["bundles"]))
    again[0][0]["sha256"] = "of other rows"
    values = [*stored().values()]
    values[0] = pushed("prepare_input", "bundles", again)
    first, second, _ = shards_seen(values)
    assert (first.state, first.counts) == ("not submitted yet", {})
    assert second.counts["answered"] == 4


def test_rows_asked_one_by_one_are_a_shard_that_no_preparation_made() -> None:
    landed = STORED["repair_fetched"]["landed"][0]
    shard = landed["job"]["shard"] | {
        "uri": "file:///data/work/1e213091a8/stragglers/shard-00000.jsonl",
        "round": ONLINE,
    }
    online = landed | {"job": landed["job"] | {"shard": shard, "provider_job_id": "_predict"}}
    values = [*stored().values(), pushed("answer_stragglers", "landed", {"landed": [online]})]
    last = shards_seen(values)[-1]
    assert (last.name, last.counts["answered"], task_of(last)) == (shard_name(0, ONLINE), 6, "answer_stragglers")


def test_the_vendors_words_on_a_job_stay_with_its_shard() -> None:
    ends = [STORED["outcomes"][0] | {"error_code": "batch_expired", "error_message": "Not in time."}]
    values = [stored()["jobs"], pushed("shard.wait_for_batch", "outcomes", ends), stored()["fetched"]]
    assert shards_seen(values)[0].error == "batch_expired: Not in time."


def test_rows_of_a_job_that_is_not_told_of_the_plan_are_the_vendors_requests() -> None:
    raw = STORED["outcomes"][0] | {"job": STORED["jobs"][0] | {"shard": None}, "requests_total": 10}
    (seen,) = shards_seen([pushed("wait", "outcomes", [raw | {"requests_done": 7, "requests_failed": 2}])])
    assert (seen.name, seen.rows, seen.counts) == (STORED["jobs"][0]["provider_job_id"], 10, {"done": 7, "failed": 2})


ODD: list[Any] = ["xcom-backend://bucket/key", None, 3, [], {}, [True], [[{"index": "x"}]], {"landed": [{}]}]


@pytest.mark.parametrize("name", ["bundles", "jobs", "waiting", "outcomes", "landed", "link"])
@pytest.mark.parametrize("value", ODD)
def test_what_cannot_be_read_is_passed_over(name: str, value: Any) -> None:
    values = [*stored().values(), pushed("of_others", name, value)]
    assert shards_seen(values) == until("repair_fetched")


def test_without_the_tasks_values_the_report_tells_the_jobs() -> None:
    assert REPORT is not None
    shards = shards_of(REPORT.jobs)
    assert [seen.name for seen in shards] == ["shard 0", "shard 1", "shard 0 of repair 1"]
    assert {seen.job_id for seen in shards} == {job["provider_job_id"] for job in STORED["report"]["jobs"]}
