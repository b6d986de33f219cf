"""The pages as a person sees them: in Chromium, logged in by Airflow's form, beside the manifests of the same runs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from opensearch_batch.pages.address import PREFIX, path_of_run
from stack.run import DagRun
from tests.e2e.browser import NARROW, SCREENSHOTS, Person, browsing, is_dark, needs_chromium, too_wide
from tests.e2e.test_approval import passwords
from tests.e2e.test_repair import manifest_of
from tests.e2e.test_runs import Box, start_small_run, states
from tests.patience import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Frame, Page

    from stack.stack import Stack

pytestmark = [pytest.mark.e2e, needs_chromium]
MARKED_UP = "<b>Too long</b>: <i>8,192 tokens</i> & more"
ROWS = 4500  # three shards of at most 2,000
WHO = "vera"
"""A viewer."""


@pytest.fixture(scope="module")
def runs(stack: Stack) -> Iterator[dict[str, DagRun]]:
    """One that went well, one with rows that were sent again and rows that failed, one whose jobs are in flight."""
    box = Box(stack.sandbox_url)
    plain = start_small_run(stack)
    assert plain.wait() == "success"
    box.order("expire", fraction=0.6)
    box.order("fail_rows", count=2, code="context_length_exceeded", message=MARKED_UP)
    repaired = start_small_run(stack, rows=ROWS)
    repaired.wait()
    box.pace("clock:600")
    live = start_small_run(stack, rows=ROWS)
    eventually("deferred", lambda: "deferred" in states(live).values(), live.progress)
    yield {"plain": plain, "repaired": repaired, "live": live}
    box.calm()
    stack.api("PATCH", live.path, {"state": "failed"})


@pytest.fixture(scope="module")
def password(stack: Stack, runs: dict[str, DagRun]) -> Iterator[str]:
    with passwords(stack) as known:
        yield known[WHO]


@pytest.fixture
def person(stack: Stack, password: str) -> Iterator[Person]:
    with browsing() as somebody:
        somebody.log_in(stack.url, WHO, password)
        yield somebody
        assert somebody.troubles == []


def address_of(run: DagRun) -> str:
    return f"{run.stack.url}{PREFIX}/{path_of_run(run.dag_id, run.run_id)}"


def table(page: Page | Frame, heading: str) -> list[dict[str, str]]:
    """The rows of the first table after a heading, by column."""
    found: list[list[str]] = page.locator(f"#{heading} ~ .scroll").first.evaluate(
        "box => [...box.querySelectorAll('tr')].map(row => [...row.cells].map(cell => cell.innerText.trim()))"
    )
    return [dict(zip(found[0], row, strict=True)) for row in found[1:]]


def beside(page: Page, name: str) -> str:
    """What stands beside a name; a count that is 0 may have no line."""
    cell = page.locator(f"xpath=//tr[th[.={json.dumps(name)}]]/td")
    return cell.inner_text() if cell.count() else "0"


def number(text: str) -> int:
    return int(text.replace(",", "") or 0)


def framed(page: Page, path: str = "") -> Frame:
    """Our page in Airflow's frame, when Airflow's own address has its path: until then Airflow may load the frame once
    more.
    """
    page.wait_for_url(re.compile(f"/plugin/opensearch_batches{PREFIX}/{path}"))
    page.frame_locator("iframe").locator("h1").wait_for()
    found = page.locator("iframe").element_handle().content_frame()
    assert found is not None
    return found


def manifests(stack: Stack, dag_id: str) -> list[dict[str, Any]]:
    """Of all runs of the DAG that have written one."""
    ids = [run["dag_run_id"] for run in stack.api("GET", f"/dags/{dag_id}/dagRuns", params={"limit": 100})["dag_runs"]]
    reports = [DagRun(stack, dag_id, run_id).xcom("report", "report") for run_id in ids]
    return [json.loads(Path(re.sub("^file://", "", each["manifest"])).read_bytes()) for each in reports if each]


@pytest.mark.parametrize("name", ["plain", "repaired"])
def test_a_runs_page_has_the_figures_of_its_manifest(
    stack: Stack, runs: dict[str, DagRun], person: Person, name: str
) -> None:
    manifest, _ = manifest_of(stack, runs[name])
    report, page = manifest["report"], person.page
    page.goto(address_of(runs[name]))
    counts = {name: number(beside(page, name)) for name in ("records", "answered", "failed", "missing", "repaired")}
    assert counts == {name: report[name] for name in counts}
    assert bool(counts["repaired"]) == bool(counts["failed"]) == (name == "repaired")
    assert beside(page, "manifest") == report["manifest"]
    assert beside(page, "tokens").startswith(f"{report['actual_tokens']:,} ")
    assert beside(page, "price").startswith(f"${report['actual_usd']:,.4f} ")
    shards = table(page, "jobs")
    assert [(row["job"], row["state"]) for row in shards] == [
        (job["provider_job_id"], job["state"]) for job in report["jobs"]
    ]
    assert sum(number(row["answered"]) for row in shards) == report["answered"]
    planned, landed = (
        next(row for row in table(page, "plan") if row[""] == "rows, and answers")[k] for k in ("planned", "came")
    )
    assert (number(planned), number(landed)) == (report["records"], report["answered"])
    person.keep(f"run-{name}", whole=True)


def test_what_a_vendor_said_is_text(stack: Stack, runs: dict[str, DagRun], person: Person) -> None:
    person.page.goto(address_of(runs["repaired"]))
    reasons = {row["reason"]: row for row in table(person.page, "failed")}
    assert reasons["context_length_exceeded"]["words"] == MARKED_UP
    assert number(reasons["batch_expired"]["sent again"]) > 0
    assert person.page.locator("b, i").count() == 0


def test_the_batches_are_in_airflows_menu_with_the_manifests_figures(
    stack: Stack, runs: dict[str, DagRun], person: Person
) -> None:
    page = person.page
    if SCREENSHOTS:
        eventually(
            "rows done", lambda: any(runs["live"].xcom("shard.wait_for_batch", "waiting", 0)["rows_done"].values())
        )
    page.get_by_role("button", name="Browse").click()
    page.get_by_role("menuitem", name="Batches").click()
    batches = framed(page)
    reports = [each["report"] for each in manifests(stack, runs["plain"].dag_id)]
    lines = [row for row in table(batches, "past") if row["DAG"] == runs["plain"].dag_id]
    assert sum(number(row["runs"]) for row in lines) == len(reports) >= 2
    for column, key in (("rows", "records"), ("answered", "answered"), ("failed", "failed"), ("repaired", "repaired")):
        assert sum(number(row[column]) for row in lines) == sum(report[key] for report in reports), column
    flying = [row for row in table(batches, "flight") if row["run"] == runs["live"].run_id]
    assert [row["shard"] for row in flying] == ["shard 0", "shard 1", "shard 2"]
    assert sum(number(row["rows"].split(" of ")[-1]) for row in flying) == ROWS
    person.keep("batches")


def test_a_link_in_the_frame_leads_airflow_itself(stack: Stack, runs: dict[str, DagRun], person: Person) -> None:
    page = person.page
    run, job = runs["live"], runs["live"].xcom("shard.submit_batch", map_index=0)[0]["provider_job_id"]
    page.goto(f"{stack.url}/plugin/opensearch_batches")
    framed(page).get_by_role("link", name=run.run_id).first.click()
    with page.expect_popup() as opened:
        framed(page, "dags/").get_by_role("link", name=job).click()
    assert opened.value.url == f"{stack.sandbox_url}/v1/batches/{job}"
    framed(page, "dags/").get_by_role("link", name="shard 0").click()
    page.wait_for_url(re.compile(rf"{stack.url}/dags/{run.dag_id}/runs/.*/tasks/"))


def test_in_a_narrow_window_the_pages_do_not_scroll_sideways(
    stack: Stack, runs: dict[str, DagRun], person: Person
) -> None:
    page = person.page
    page.set_viewport_size(NARROW)
    for address in (f"{stack.url}{PREFIX}/", address_of(runs["repaired"]), address_of(runs["live"])):
        page.goto(address)
        page.wait_for_selector(".scroll")
        assert too_wide(page) <= 0, address
        assert page.locator(".scroll").first.evaluate("box => getComputedStyle(box).overflowX") == "auto"
        person.keep(f"narrow-{address.rpartition('_')[2][-6:].strip('/')}", whole=True)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_are_as_dark_as_the_browser_and_as_airflow(
    stack: Stack, runs: dict[str, DagRun], password: str, scheme: Any
) -> None:
    with browsing(color_scheme=scheme) as somebody:
        somebody.log_in(stack.url, WHO, password)
        somebody.page.goto(address_of(runs["repaired"]))
        assert is_dark(somebody.page) == (scheme == "dark")
        somebody.keep(f"run-{scheme}", whole=True)
        somebody.page.goto(f"{stack.url}/plugin/opensearch_batches")
        batches = framed(somebody.page)
        eventually("Airflow's colours", lambda: is_dark(batches) == (scheme == "dark"))
        somebody.page.evaluate("document.documentElement.classList.toggle('dark')")
        eventually("the colours that Airflow changes to", lambda: is_dark(batches) != (scheme == "dark"))


def test_who_is_not_logged_in_sees_nothing(stack: Stack, runs: dict[str, DagRun], password: str) -> None:
    with browsing() as nobody:
        for address in (f"{stack.url}{PREFIX}/", address_of(runs["plain"])):
            answered = nobody.page.goto(address)
            assert answered is not None
            assert answered.status == 401
            assert runs["plain"].run_id not in nobody.page.content()


def test_a_run_that_is_deleted_while_its_page_is_open_is_said_to_be_gone(
    stack: Stack, runs: dict[str, DagRun], person: Person
) -> None:
    """Last of all: there is one run less."""
    page, run = person.page, runs["plain"]
    page.goto(address_of(run))
    stack.api("DELETE", run.path)
    page.reload()
    assert "Airflow has no such run" in page.locator("#gone").inner_text()
    page.get_by_role("link", name="All batches").click()
    page.wait_for_url(f"{stack.url}{PREFIX}/")
    person.troubles.clear()  # that the page was not found
