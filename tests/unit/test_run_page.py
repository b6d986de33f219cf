"""The page of a run: what its tasks pushed, for a person to read."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

from opensearch_batch.flow.written import Written
from opensearch_batch.pages.run_page import run_page

STORED = json.loads((Path(__file__).parent / "stored" / "run.json").read_text(encoding="utf-8"))


def found(sign: str, value: Any = STORED) -> dict[str, Any]:
    """The first value with this key, of what a run left."""
    if isinstance(value, dict) and sign in value:
        return value
    inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return next((it for each in inner if (it := found(sign, each))), {})


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", page.partition("</style>")[2])))


def test_a_run_that_landed_shows_plan_model_report_files_and_jobs() -> None:
    plan, report = found("run_key"), found("absent")
    spec = {"name": "articles", "model": {"name": "a-model", "parameters": {"dimensions": 8}}}
    pushed = {"plan": plan, "spec": spec, "report": report, "connector_id": "c-1", "model_id": "m-1"}
    page = text_of(run_page("nightly", "run 1", pushed))
    assert "nightly: run 1" in page
    assert f"rows {plan['records']}" in page
    assert "connector c-1 model m-1 registered as articles vendor's model a-model parameters dimensions: 8" in page
    assert f"manifest {report['manifest']} records {report['records']} answered {report['answered']}" in page
    assert all(uri in page for uri in (*report["results"], *report["failures"]))
    assert all(job["provider_job_id"] in page for job in report["jobs"])


def test_the_jobs_stand_there_before_the_run_is_summed_up() -> None:
    outcome = found("requests_done")
    other = outcome["job"] | {"provider_job_id": "batch_other", "task_id": "t-other"}
    page = text_of(run_page("nightly", "r", {"jobs": [outcome["job"], other], "outcomes": [outcome]}))
    assert f"{outcome['job']['provider_job_id']} {outcome['job']['task_id']} {outcome['state']} " in page
    assert f"{outcome['requests_done']} of {outcome['requests_total']} {outcome['requests_failed']}" in page
    assert "batch_other t-other not ended when a task last looked" in page


def test_a_run_that_filled_an_index_shows_what_became_of_the_vectors() -> None:
    written = Written(written=94, superseded=5, deleted=1, named=["a1", "a2"]).to_dict()
    plan = found("run_key") | {"unchanged": 900, "empty": 3}
    page = text_of(run_page("nightly", "r", {"plan": plan, "report": found("absent") | {"written": written}}))
    assert "unchanged documents, not sent 900 documents without text, not sent 3" in page
    assert "written 94 edited meanwhile, left alone 5 deleted meanwhile 1 refused 0 for example a1, a2" in page


def test_a_run_that_has_only_begun_says_so() -> None:
    page = text_of(run_page("nightly", "r", {}))
    assert "No job is submitted yet." in page
    assert "There is no plan: the input is not prepared yet" in page
    assert "The run is not summed up yet." in page


def test_what_a_provider_said_is_text_and_no_markup() -> None:
    report = found("absent") | {"examples": [{"id": "<b>", "code": "x", "message": "<script>alert(1)</script>"}]}
    page = run_page("<i>", "r", {"report": report})
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert not {"<script>", "<i>", "<b>"} & set(re.findall(r"<\w+>", page))
