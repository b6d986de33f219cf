"""The demo: a vendor's ``fill_stdlib_docs`` from its trigger to the questions that its index answers; and once more,
when nothing has changed.
"""

from __future__ import annotations

import importlib
import inspect
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from stack.patience import Patience
from stack.processes import StackError
from stack.run import ENDED, DagRun, end_unfinished, wait_for_dag
from stack.search import QUESTIONS, embed, nearest, place
from stack.vendors import VENDORS, ask_for, dag_of, index_of, set_up

if TYPE_CHECKING:
    from stack.screen import Screen
    from stack.stack import Stack

HITS = 3
IDLE_SECONDS = 15 * 60


COUNTED = ("records", "answered", "failed", "missing", "duplicates")


@dataclass(frozen=True)
class RunCounts:
    """How far a run is, from what Airflow and the provider say."""

    done: int
    total: int
    stage: str


def empty_summary() -> dict[str, Any]:
    """``seconds`` is the caller's: None until the demo came to its end."""
    return dict.fromkeys(COUNTED) | {
        "jobs": 0,
        "sent_again": None,
        "results": [],
        "seconds": None,
    }


def run_demo(stack: Stack, screen: Screen, summary: dict[str, Any], vendor: str = VENDORS[0]) -> None:
    """Run it, show it, and fill in the summary; ``answered`` stays None in it when the run did not succeed."""
    dag_id = dag_of(vendor)
    set_up(vendor, stack.sandbox_url)
    wait_for_dag(stack, dag_id)
    for old in end_unfinished(stack, dag_id):
        screen.line(f"          ended {old}, which an interrupted demo left under way")
    began = time.time()
    run = DagRun.trigger(stack, dag_id)
    screen.line(f"          {dag_id} started: {run.url}")
    counts = _watch(run, screen, vendor, began)
    if run.state() != "success":
        summary["records"] = counts.total or None
        _show_failure(run, screen)
        return
    screen.step(f"{dag_id}: {counts.done:,} of {counts.total:,} records", time.time() - began)
    report = run.xcom("report")
    if report is None:
        _show_filled(stack, run, screen, vendor, summary)
        return
    summary.update({name: report[name] for name in COUNTED})
    summary["jobs"] = len(report["jobs"])
    summary["results"] = [place(uri) for uri in report["results"]]
    _show_report(report, screen)
    _show_answers(stack, run, screen, vendor)
    _run_again(stack, dag_id, screen, summary)


def succeeded(summary: dict[str, Any]) -> bool:
    whole = summary["records"] is not None and summary["answered"] == summary["records"] and not summary["missing"]
    return whole and summary["sent_again"] == 0


def _watch(run: DagRun, screen: Screen, vendor: str, began: float) -> RunCounts:
    patience = Patience(IDLE_SECONDS, lambda: (run.progress(), _count(run, vendor, began)))
    with screen.progress() as progress:
        while True:
            run.stack.check()
            ended = run.state() in ENDED
            counts = _count(run, vendor, began)
            progress.show(counts)
            if ended or patience.is_over:
                return counts
            time.sleep(0.5)


def _count(run: DagRun, vendor: str, began: float) -> RunCounts:
    plan = run.xcom("prepare_input", "plan") or {}
    done = sum(job.get("done", job["requests"]) for job in _jobs(run.stack, vendor, began))
    return RunCounts(done, int(plan.get("records", 0)), _stage(run.tasks()))


def _jobs(stack: Stack, vendor: str, began: float) -> list[dict[str, Any]]:
    """The provider's jobs of this run: on a sandbox of one's own, those that are not older."""
    with httpx.Client(base_url=stack.sandbox_url, trust_env=False, timeout=30) as client:
        jobs = client.get("/_sandbox/ledger").raise_for_status().json()
    return [job for job in jobs if job.get("provider", VENDORS[0]) == vendor and job["created_at"] >= int(began)]


def _stage(tasks: list[dict[str, Any]]) -> str:
    """What is under way, as "wait_for_batch x3", the farthest first."""
    active = [task for task in tasks if task["state"] in {"running", "deferred", "up_for_retry", "failed"}]
    names = Counter(_name(task) for task in active)
    if not names:
        return "report" if tasks and all(task["state"] == "success" for task in tasks) else "scheduling"
    return ", ".join(name if count == 1 else f"{name} x{count}" for name, count in names.items())


def _name(task: dict[str, Any]) -> str:
    short = str(task["task_id"]).rpartition(".")[2]
    return short if task["state"] in {"running", "deferred"} else f"{short} {task['state']}"


def _show_report(report: dict[str, Any], screen: Screen) -> None:
    screen.line()
    screen.line("Report")
    for name in ("records", "answered", "failed", "missing", "duplicates", "foreign"):
        screen.line(f"  {name:<17}{report.get(name, 0):>9,}")
    screen.line(f"  {'in the index':<17}{report['written']['written']:>9,}")
    screen.line(f"  {'jobs':<17}{len(report['jobs']):>9,}")
    for name, unit in (("tokens", ",.0f"), ("usd", ",.4f")):
        estimated, actual = report.get(f"estimated_{name}"), report.get(f"actual_{name}")
        shown = [format(value, unit) if value is not None else "unknown" for value in (estimated, actual)]
        screen.line(f"  {name:<17}{shown[1]:>9}  (estimated {shown[0]})")
    if seconds := report.get("instance_seconds"):
        screen.line(f"  {'instance-seconds':<17}{seconds:>9,.0f}")
    screen.line()
    screen.line("Results")
    for uri in (*report["results"], report["manifest"]):
        screen.line(f"  {place(uri)}")


def _show_filled(stack: Stack, run: DagRun, screen: Screen, vendor: str, summary: dict[str, Any]) -> None:
    """An earlier demo on the same home has filled the index, so the run had nothing to send and no report."""
    screen.line(f"  nothing has changed since an earlier demo, 0 sent; delete {stack.home.path} to start afresh")
    summary.update(dict.fromkeys(COUNTED, 0), sent_again=0)
    _show_answers(stack, run, screen, vendor)


def _model_of(stack: Stack, dag_id: str) -> str:
    """The model's id, by the last run that had something to send."""
    query = {"limit": 100, "order_by": "-run_after"}
    runs = stack.api("GET", f"/dags/{dag_id}/dagRuns", params=query)["dag_runs"]
    found = (DagRun(stack, dag_id, run["dag_run_id"]).xcom("register_model") for run in runs)
    for model_id in filter(None, found):
        return str(model_id)
    raise StackError(f"no run of {dag_id} has registered a model")


def _show_answers(stack: Stack, run: DagRun, screen: Screen, vendor: str) -> None:
    model_id = _model_of(stack, run.dag_id)
    screen.line()
    screen.line("Five questions to the index, embedded by the same model through the cluster")
    for question in QUESTIONS:
        screen.line(f"  {question}?")
        vector = embed(stack.cluster_url, model_id, ask_for(vendor, question))
        for hit in nearest(stack.cluster_url, index_of(vendor), vector, HITS):
            screen.line(f"    {hit.score:.2f}  {hit.id:<44} {_first_line(hit.id)[:60]}")


def _run_again(stack: Stack, dag_id: str, screen: Screen, summary: dict[str, Any]) -> None:
    """A second night over the same index: nothing is sent."""
    run = DagRun.trigger(stack, dag_id)

    def has_ended() -> bool:
        stack.check()
        return run.state() in ENDED

    any(Patience(IDLE_SECONDS, run.progress).looks(has_ended))
    plan = run.xcom("prepare_input", "plan") or {}
    summary["sent_again"] = plan.get("records")
    screen.line()
    screen.line("The same run again")
    screen.line(f"  {plan.get('unchanged', 0):,} documents unchanged, {plan.get('records', 0):,} sent: {run.url}")


def _first_line(name: str) -> str:
    """What the standard library says about it: the longest importable module, then attributes."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:length]))
        except ImportError:
            continue
        for part in parts[length:]:
            found = getattr(found, part, None)
        return (inspect.getdoc(found) or "").partition("\n")[0]
    return ""


def _show_failure(run: DagRun, screen: Screen) -> None:
    screen.line()
    screen.line(f"{run.dag_id} did not succeed: {run.state()}. {run.url}")
    failed = [task for task in run.tasks() if task["state"] == "failed"]
    for task in failed[:3]:
        where = f"[{task['map_index']}]" if task["map_index"] >= 0 else ""
        screen.line(f"  {task['task_id']}{where} failed at try {task['try_number']}; the end of its log:")
        for line in run.log(task):
            screen.line(f"    {line}")
    screen.line("What to look at")
    screen.line(f"  {run.stack.home.logs}  (sandbox.log, scheduler.log, triggerer.log, ...)")
    screen.line(f"  {run.stack.task_logs_place}  (each task's log)")
    screen.line(f"  delete {run.stack.home.path} to start afresh")
