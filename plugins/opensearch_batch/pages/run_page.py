"""The page of a run as HTML, from what its tasks pushed: how far its rows are, what failed and why, the plan beside
what came, and its shards. Values in, text out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any
from urllib.parse import quote

from opensearch_batch.pages.address import address_of_run
from opensearch_batch.pages.markup import Values, code, document, grid, link, number, table, task_link, usd
from opensearch_batch.pages.plots import legend, stacked
from opensearch_batch.pages.reasons import Reason, reasons_of
from opensearch_batch.pages.run_report import approval, model, report_of
from opensearch_batch.pages.shards import KINDS, ShardSeen, counted, shards_of
from opensearch_batch.pages.told import told
from opensearch_batch.pages.told_run import ToldApproval, ToldReport, ToldRunPlan, ToldRunSpec

UP = "../../../"
"""From a run's page to that of all batches."""
PARTS = {"report": "Report", "plan": "Plan", "model": "Model", "jobs": "Shards and jobs"}
EXAMPLES = 3
NO_FLOWS: Mapping[str, bool] = {}
COUNTED = {"answered": "answered", "sent again": "again", "failed": "failed", "missing": "missing"}
"""Columns of shards, and what is counted there."""
TEXTS = frozenset(
    {"reason", "for example", "shard", "", "state", "job", "task of the cluster", "words", "planned and came"}
)
SHAPES: dict[str, Any] = {
    "plan": ToldRunPlan, "spec": ToldRunSpec, "approval": ToldApproval, "report": ToldReport
}  # fmt: skip


def run_page(
    dag_id: str,
    run_id: str,
    pushed: Values,
    shards: Sequence[ShardSeen] = (),
    flows: Mapping[str, bool] = NO_FLOWS,
) -> str:
    """`pushed` has what there is of plan, spec, approval, connector_id, model_id and report. `flows` are those of the
    run, where there are several, with whether it is the one that `pushed` is of.
    """
    read = {name: told(pushed[name], shape) for name, shape in SHAPES.items() if name in pushed}
    plan, report = read.get("plan"), read.get("report")
    shards = shards or shards_of([*report.jobs, *report.unlanded] if report else ())
    parts = (
        _ways(dag_id, run_id),
        _flows(flows),
        _unread([name for name, value in read.items() if value is None]),
        _total(plan, report, shards),
        report_of(report),
        _failed(reasons_of(shards, report), report),
        _plan(plan, report, read.get("spec"), shards),
        approval(read.get("approval")),
        model(pushed, read.get("spec")),
        _shards(shards),
    )
    return document(f"{dag_id}: {run_id}", (line for part in parts for line in part))


def no_run_page(dag_id: str, run_id: str) -> str:
    said = "Airflow has no such run: it was deleted, or never was. Its output and its manifest are not touched by that."
    return document(f"{dag_id}: {run_id}", [f'<p id="gone">{said}</p>', f'<p><a href="{UP}">All batches</a></p>'])


def _ways(dag_id: str, run_id: str) -> Iterator[str]:
    run = f'<a data-airflow href="{escape(address_of_run(dag_id, run_id))}">The run in Airflow</a>'
    parts = "".join(f'<a href="#{id}">{name}</a>' for id, name in PARTS.items())
    yield f'<nav><a href="{UP}">All batches</a>{run}{parts}</nav>'


def _flows(flows: Mapping[str, bool]) -> Iterator[str]:
    """Links to the pages of the run's other flows, by a task of each."""
    if flows:
        links = (_flow(name or "at the top of the DAG", name, shown=shown) for name, shown in flows.items())
        yield f'<p id="flows">Flows of this run: {", ".join(links)}</p>'


def _flow(words: str, name: str, *, shown: bool) -> str:
    if shown:
        return f"<b>{escape(words)}</b>"
    return f'<a href="?task={quote(f"{name}." if name else ".", safe="")}">{escape(words)}</a>'


def _unread(names: Sequence[str]) -> Iterator[str]:
    """Of a version that this page does not know, or of somebody else's task under the same name."""
    if names:
        named = escape(", ".join(names))
        said = f"This version cannot read what the run has pushed as: {named}. The XComs of its tasks have it."
        yield f'<p id="unread">{said}</p>'


def _total(plan: ToldRunPlan | None, report: ToldReport | None, shards: Sequence[ShardSeen]) -> Iterator[str]:
    """All rows in one bar: of the report, and until there is one of the shards."""
    counts = counted(shards)
    rows = plan.rows if plan else sum(seen.rows for seen in shards if not (seen.shard and seen.shard.round))
    if report:
        rows = report.records
        counts = counts | {"answered": report.answered, "failed": report.failed, "missing": report.missing, "done": 0}
    if not rows:
        return
    yield f'<p id="rows">{stacked(counts, rows, "total")}</p>'
    parts = {kind: (words, counts[kind]) for kind, words in KINDS.items() if counts[kind] or kind == "answered"}
    unanswered = max(0, rows - sum(counts.values()))
    if unanswered:
        parts |= {"open": ("open", unanswered)}
    yield f"<p>{number(rows)} rows: {legend(parts)}</p>"


def _failed(reasons: Sequence[Reason], report: ToldReport | None) -> Iterator[str]:
    """By code; rows that failed and were sent again count here, also where the repair round has answered them."""
    missing = report.missing if report else 0
    if not reasons and not missing:
        return
    yield '<h2 id="failed">Failed rows</h2>'
    yield from grid(
        ("reason", "rows", "sent again", "for example", "words"), (_reason(each) for each in reasons), TEXTS
    )
    if missing:
        ids = (report.named if report else {}).get("missing", ())
        named = escape(f" ({', '.join(ids)})") if ids else ""
        yield f"<p>Missing, without an answer or a reason: {number(missing)}{named}</p>"


def _reason(each: Reason) -> Iterator[str]:
    examples = each.examples[:EXAMPLES]
    yield escape(each.code)
    yield number(each.rows)
    yield number(each.again)
    yield "<br>".join(code(example.id) for example in examples)
    yield "<br>".join(escape(words) for words in dict.fromkeys(example.message for example in examples))


def _plan(
    plan: ToldRunPlan | None, report: ToldReport | None, spec: ToldRunSpec | None, shards: Sequence[ShardSeen]
) -> Iterator[str]:
    yield '<h2 id="plan">Plan beside what came</h2>'
    if not plan:
        yield "<p>There is no plan: the input is not prepared yet, or could not be. The task's log says why.</p>"
        return
    yield from grid(("", "planned", "came"), _beside(plan, report, shards), TEXTS)
    spec = spec or ToldRunSpec()
    yield table(
        {
            "unchanged documents, not sent": plan.unchanged or None,
            "documents without text, not sent": plan.empty or None,
            "images": _images(plan),
            "bytes to send": plan.bytes,
            "dry run": "yes, nothing is sent" if plan.dry_run else "no",
            "input": spec.input.uri,
            "output": spec.output.uri,
        }
    )


def _images(plan: ToldRunPlan) -> str | None:
    if not plan.images:
        return None
    counted = (
        f"planned with {number(plan.image_tokens)} tokens each" if plan.image_tokens else "not in the plan's tokens"
    )
    return f"{number(plan.images)}, {counted}"


def _beside(plan: ToldRunPlan, report: ToldReport | None, shards: Sequence[ShardSeen]) -> Iterator[Iterator[str]]:
    """What came, where it is known; until the report the landed shards tell."""
    first = [seen for seen in shards if seen.landed and not (seen.shard and seen.shard.round)]
    answered = report.answered if report else counted(shards)["answered"]
    lines: list[tuple[str, str, str]] = [
        ("rows, and answers", number(plan.rows), number(answered)),
        ("shards, and landed", number(plan.shards), number(len(first))),
        ("input tokens", number(plan.estimated_tokens), number(report.input_tokens) if report else ""),
        ("output tokens", "", number(report.output_tokens) if report and report.output_tokens else ""),
        ("price", usd(plan.estimated_usd), usd(report.actual_usd) if report else ""),
    ]
    for words, planned, came in (
        ("rows with the vector of an earlier run, not sent", plan.reused_rows, report.reused if report else None),
        ("rows with the text of another row, not sent", plan.twins, report.twins if report else None),
        ("bad rows of the input, skipped", plan.bad_rows, report.bad_rows if report else None),
    ):
        if planned or came:
            lines.append((words, number(planned), "" if came is None else number(came)))
    return (iter(line) for line in lines if line[1:] != ("", ""))


def _shards(shards: Sequence[ShardSeen]) -> Iterator[str]:
    yield '<h2 id="jobs">Shards and jobs</h2>'
    if not any(seen.job_id for seen in shards):
        yield "<p>No job is submitted yet.</p>"
    if not shards:
        return
    names = ["shard", "", "rows", "answered", "sent again", "failed", "missing", "state", "job", "task of the cluster"]
    if any(seen.error for seen in shards):
        names.append("words")
    yield from grid(names, (map(_shard(seen).__getitem__, names) for seen in shards), TEXTS)
    yield "<p>A task of the cluster is a document there: <code>GET /_plugins/_ml/tasks/TASK_ID</code>.</p>"


def _shard(seen: ShardSeen) -> dict[str, str]:
    """Cells by column."""
    known = f"{number(sum(seen.counts.values()))} of " if seen.instance else ""
    shared = f" of {escape(seen.shared_with)}" if seen.shared_with else ""
    return {
        "shard": task_link(seen.instance, seen.name) if seen.instance else escape(seen.name),
        "": stacked(seen.counts, seen.rows),
        "rows": f"{known}{number(seen.rows)}",
        **{name: number(seen.counts[kind]) if kind in seen.counts else "" for name, kind in COUNTED.items()},
        "state": escape(seen.state),
        "job": f"{link(seen.link, code(seen.job_id))}{shared}" if seen.job_id else "",
        "task of the cluster": code(seen.task_id) if seen.task_id else "",
        "words": escape(seen.error),
    }
