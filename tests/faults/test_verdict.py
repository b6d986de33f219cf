"""The verdict on what a run has left behind: each way to be wrong is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.faults.verdict import Evidence, Paid, problems_of

PLANNED = {"a": "text a", "b": "text b"}
JOB = Paid("batch-1", "file-1", (("a", "text a"), ("b", "text b")), 2)
GOOD = Evidence(
    state="success",
    planned=PLANNED,
    jobs=[JOB],
    landed=["b"],
    named=["a"],
    files=["results/manifest.json", "results/results-1.jsonl", "results/failures-1.jsonl", "work/jobs/x/key-1.json"],
    uploads=["file-1"],
    claims=["key-1"],
    keys=["key-1"],
    manifest=["results-1.jsonl", "failures-1.jsonl"],
)


def test_a_run_that_ended_well_has_no_problem() -> None:
    assert problems_of(GOOD) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"state": "failed"}, "the run ended failed"),
        ({"jobs": [JOB, replace(JOB, job_id="batch-2")]}, "paid more than once: a, b"),
        ({"jobs": [replace(JOB, rows=JOB.rows and JOB.rows[:1])]}, "never sent: b"),
        ({"planned": {"a": "text a", "b": "new text"}}, "never sent: b"),
        ({"jobs": [replace(JOB, rows=None, done=4)]}, "4 rows paid for instead of 2"),
        ({"landed": []}, "rows lost: b"),
        ({"landed": ["b", "c"]}, "rows that nobody asked for: c"),
        ({"landed": ["b", "b"]}, "rows more than once: b"),
        ({"named": ["a", "b"]}, "rows more than once: b"),
        ({"files": ["results/.manifest.json.7.partial"]}, "left behind: results/.manifest.json.7.partial"),
        (
            {"files": ["results/results-2.jsonl"]},
            "left behind: results/results-2.jsonl, which the manifest does not name",
        ),
        ({"uploads": ["file-1", "file-2"]}, "an upload without a job: file-2"),
        ({"claims": ["key-1", "key-2"]}, "a claim without a job: key-2"),
    ],
)
def test_each_wrong_is_told(change: dict[str, object], told: str) -> None:
    assert problems_of(replace(GOOD, **change)) == [told]  # type: ignore[arg-type]
