"""The page of a run: what its tasks pushed, for a person to read."""

from __future__ import annotations

import json
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from opensearch_batch.flow.stragglers import Stragglers
from opensearch_batch.flow.written import Written
from opensearch_batch.pages.markup import HEADERS, SCRIPT, STYLE
from opensearch_batch.pages.plots import WHOLE, stacked
from opensearch_batch.pages.run_page import run_page
from opensearch_batch.pages.shards import ShardSeen
from opensearch_batch.pages.told import ToldShard
from opensearch_batch.pages.told_run import ToldExample

STORED = json.loads((Path(__file__).parent / "stored" / "run.json").read_text(encoding="utf-8"))
EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'>"


def found(sign: str, value: Any = STORED) -> dict[str, Any]:
    """The first value with this key, of what a run left."""
    if isinstance(value, dict) and sign in value:
        return value
    inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return next((it for each in inner if (it := found(sign, each))), {})


def text_of(page: str) -> str:
    """As it is read: without tooltips."""
    seen = re.sub(r"<title>[^<]*</title>", " ", page.partition("</script>")[2])
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", seen)))


class Markup(HTMLParser):
    """The names of all tags and attributes, as a browser reads them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names |= {tag, *(name for name, _ in attrs)}


def shard(number: int, **seen: Any) -> ShardSeen:
    told = ToldShard(number, 10, 100)
    instance = ("nightly", "r", "shard.fetch_output", number)
    return ShardSeen(told, instance, 10, **{"job_id": f"batch-{number}", "task_id": f"t-{number}"} | seen)


def test_a_run_that_landed_shows_plan_model_report_files_and_jobs() -> None:
    plan, report = found("run_key"), found("absent")
    spec = {"name": "articles", "model": {"name": "a-model", "parameters": {"dimensions": 8}}}
    pushed = {"plan": plan, "spec": spec, "report": report, "connector_id": "c-1", "model_id": "m-1"}
    page = text_of(run_page("nightly", "run 1", pushed))
    assert "nightly: run 1" in page
    assert f"rows, and answers {plan['records']} {report['answered']}" in page
    assert f"input tokens {plan['estimated_tokens']} {report['input_tokens']}" in page
    assert " images " not in page
    with_images = text_of(run_page("nightly", "run 1", pushed | {"plan": {**plan, "images": 1700}}))
    assert "images 1,700, not in the plan's tokens" in with_images
    told = text_of(run_page("nightly", "run 1", pushed | {"plan": {**plan, "images": 17, "image_tokens": 765}}))
    assert "images 17, planned with 765 tokens each" in told
    assert "connector c-1 model m-1 registered as articles vendor's model a-model parameters dimensions: 8" in page
    assert f"manifest {report['manifest']} records {report['records']} answered {report['answered']}" in page
    assert all(uri in page for uri in (*report["results"], *report["failures"]))
    assert all(job["provider_job_id"] in page for job in report["jobs"])


def test_a_shard_has_its_figures_its_task_and_its_job() -> None:
    landed = shard(
        0, state="completed", counts={"answered": 7, "again": 1, "failed": 2, "missing": 0}, link="https://v/0"
    )
    page = run_page("nightly", "r", {}, [landed, shard(1, state="in flight", shared_with="nightly/r0")])
    assert "shard 0 10 of 10 7 1 2 0 completed batch-0 t-0" in text_of(page)
    assert "shard 1 0 of 10 in flight batch-1 of nightly/r0 t-1" in text_of(page)
    assert 'href="https://v/0"' in page
    assert "/dags/nightly/runs/r/tasks/shard.fetch_output/mapped/1" in page
    assert "20 rows: 7 answered 2 failed 11 open" in text_of(page)


def test_failed_rows_stand_by_code_with_the_vendors_words() -> None:
    words = [ToldExample("row-1", "too_long", "Too long by 3."), ToldExample("row-2", "too_long", "Too long by 9.")]
    report = found("absent") | {"failed": 2, "missing": 1, "named": {"missing": ["row-9"]}, "codes": {"too_long": 2}}
    report |= {
        "passing": {"batch_expired": 4},
        "examples": [{"id": "row-1", "code": "too_long", "message": "Too long by 3."}],
    }
    page = text_of(run_page("nightly", "r", {"report": report}, [shard(0, examples=words)]))
    assert "too_long 2 0 row-1 row-2 Too long by 3. Too long by 9. batch_expired 0 4" in page
    assert "Missing, without an answer or a reason: 1 (row-9)" in page


def test_a_run_that_filled_an_index_shows_what_became_of_the_vectors() -> None:
    written = Written(written=94, superseded=5, deleted=1, named=["a1", "a2"]).to_dict()
    plan = found("run_key") | {"unchanged": 900, "empty": 3}
    page = text_of(run_page("nightly", "r", {"plan": plan, "report": found("absent") | {"written": written}}))
    assert "unchanged documents, not sent 900 documents without text, not sent 3" in page
    assert "written 94 edited meanwhile, left alone 5 deleted meanwhile 1 refused 0 for example a1, a2" in page


def test_rows_asked_one_by_one_have_their_own_price() -> None:
    asked = Stragglers(9, 7, 1, 1, 700, 0.09, 0.07, limit_usd=1.0, why_not="").to_dict()
    page = text_of(run_page("nightly", "r", {"report": found("absent") | {"stragglers": asked}}))
    assert "rows 9 answered online 7 asked without a result 1 not to be asked online 1 tokens on top 700" in page
    assert "price on top $0.0700 (estimated $0.0900)" in page


def test_a_run_that_has_only_begun_says_so() -> None:
    page = text_of(run_page("nightly", "r", {}))
    assert "No job is submitted yet." in page
    assert "There is no plan: the input is not prepared yet" in page
    assert "The run is not summed up yet." in page


@pytest.mark.parametrize("count", [0, 1, 600])
def test_every_shard_has_a_line(count: int) -> None:
    page = run_page("nightly", "r", {}, [shard(n, counts={"answered": 10}) for n in range(count)])
    assert page.count("/tasks/shard.fetch_output/") == count
    assert len(re.findall(r'class="bar "', page)) == count


@pytest.mark.parametrize("name", ["plan", "spec", "approval", "report"])
@pytest.mark.parametrize(
    "value", [{}, {"records": "many"}, {"version": 2, "of_a_later_version": []}, "elsewhere", None, 3]
)
def test_what_this_version_cannot_read_is_named_and_the_rest_is_shown(name: str, value: Any) -> None:
    pushed = {"plan": found("run_key"), "report": found("absent"), "connector_id": "c-1"}
    page = text_of(run_page("nightly", "r", pushed | {name: value}, [shard(0)]))
    if name == "spec" and value not in ("elsewhere", None, 3):
        assert "cannot read" not in page, "all keys of a spec may be missing"
    else:
        assert f"This version cannot read what the run has pushed as: {name}." in page
    assert "connector c-1" in page
    assert "shard 0" in page


def test_keys_of_a_later_version_are_passed_over() -> None:
    later = {
        name: found(sign) | {"of_a_later_version": 1} for name, sign in (("plan", "run_key"), ("report", "absent"))
    }
    page = text_of(run_page("nightly", "r", later))
    assert "cannot read" not in page
    assert f"answered {later['report']['answered']}" in page


def test_what_a_provider_said_is_text_and_no_markup() -> None:
    example = {"id": EVIL, "code": EVIL, "message": EVIL}
    report = found("absent") | {
        "examples": [example],
        "codes": {EVIL: 1},
        "manifest": EVIL,
        "named": {"missing": [EVIL]},
    }
    evil = shard(0, error=EVIL, state=EVIL, job_id=EVIL, task_id=EVIL, link=f"https://{EVIL}", shared_with=EVIL)
    spec = {"name": EVIL, "model": {"name": EVIL, "parameters": {EVIL: EVIL}}, "input": {"uri": f"s3://{EVIL}"}}
    pushed = {"report": report | {"missing": 1}, "connector_id": EVIL, "spec": spec, "plan": found("run_key")}
    page = run_page(EVIL, EVIL, pushed, [evil])
    assert text_of(page).count("<script>alert(1)</script>") > 10
    names = Markup(page.replace(f"<script>{SCRIPT}</script>", "")).names
    assert "rect" in names
    assert not {"script", "img", "src", "onerror"} & names


def test_no_other_style_or_script_than_the_pages_own_is_allowed_by_the_browser() -> None:
    page = run_page("nightly", "r", {"plan": found("run_key")}, [shard(0, counts={"answered": 3})])
    assert f"<style>{STYLE}</style>" in page
    assert f"<script>{SCRIPT}</script>" in page
    assert not re.findall(r"\sstyle=|\son\w+=", page.replace(SCRIPT, ""))
    assert HEADERS["Content-Security-Policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in HEADERS["Content-Security-Policy"]


@pytest.mark.parametrize(
    "parts", [{}, {"answered": 5}, {"answered": 1, "failed": 999_999}, {"answered": 30, "failed": 30}, {"failed": 0}]
)
def test_a_bar_has_each_part_and_is_never_too_wide(parts: dict[str, int]) -> None:
    drawn = re.findall(r'<rect class="(\w+)" x="(\d+)" width="(\d+)"', stacked(parts, 10))
    assert [name for name, _, _ in drawn] == [name for name, rows in parts.items() if rows]
    assert all(int(width) > 0 and int(x) + int(width) <= WHOLE for _, x, width in drawn)
