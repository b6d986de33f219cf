"""Unlanded: a job whose answers could not be landed is in the report, with its money."""

from __future__ import annotations

from typing import Any

import pytest

from opensearch_batch.flow.jobs import Job, Outcome
from opensearch_batch.flow.shards import Shard
from opensearch_batch.land.report import Report, sum_up
from opensearch_batch.land.unlanded import unlanded, with_unlanded
from opensearch_batch.prepare.plan import Plan
from tests.unit.test_reconcile import landed

PLAN = Plan("key", 20, 2, 100, 25, 2.0, 8.0, 0.00005)
MANIFEST = "file:///out/manifest.json"


def job(index: int, attempt: int = 1) -> Job:
    shard = Shard(index, f"0-{index}", "s", 10, 1, 1)
    return Job(f"batch-{index}", attempt, f"batch_{index}.{attempt}", f"file-{index}", f"task-{index}", "m", shard)


def ended(of: Job, **usage: Any) -> Outcome:
    usage = {"input_tokens": 0, "output_tokens": 0} | usage
    return Outcome(of, "completed", "completed", ["file-out"], 10, 10, 0, **usage)


def reported(*jobs: tuple[Job, Outcome | None], parts: Any = ()) -> Report:
    return with_unlanded(sum_up(PLAN, parts, MANIFEST), PLAN, jobs)


def test_of_each_key_the_newest_job_that_did_not_land_is_left() -> None:
    end = ended(job(1, attempt=2))
    assert unlanded([job(0), job(1)], [ended(job(0)), end], [landed(0)]) == [(end.job, end)]


def test_a_job_that_no_wait_has_seen_the_end_of_is_left_too() -> None:
    assert unlanded([job(0)], [], []) == [(job(0), None)]


def test_a_run_that_paid_and_landed_nothing_says_so_with_its_money() -> None:
    report = reported(*((end.job, end) for end in (ended(job(n), input_tokens=500_000) for n in range(2))))
    assert (report.actual_tokens, report.actual_usd) == (1_000_000, 2.0)
    assert "0 jobs and 2 jobs more, submitted and not landed, 1000000 tokens, $2.0000" in str(report)
    assert [(found.shard, found.state, found.records) for found in report.unlanded or []] == [
        (0, "completed", 10),
        (1, "completed", 10),
    ]
    assert Report.from_dict(report.to_dict()) == report


def test_what_landed_and_what_did_not_add_up() -> None:
    end = ended(job(1), input_tokens=500_000, output_tokens=100_000)
    report = reported((end.job, end), parts=[landed(0)])
    assert report.actual_usd == pytest.approx(1.5 * 2.0 + 0.1 * 8.0)
    assert (report.input_tokens, report.output_tokens, report.actual_tokens) == (1_500_000, 100_000, 1_600_000)
    assert "1 job and 1 job more, submitted and not landed" in str(report)


def test_a_job_whose_use_is_not_known_makes_the_price_unknown_and_not_nothing() -> None:
    report = reported((job(0), None))
    assert report.actual_usd is None
    assert "0 jobs and 1 job more, submitted and not landed, 0 tokens, at a price not known yet" in str(report)


def test_a_run_that_landed_whole_has_none() -> None:
    assert "unlanded" not in reported(parts=[landed(0), landed(1)]).to_dict()
