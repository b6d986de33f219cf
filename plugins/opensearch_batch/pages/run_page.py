"""The page of a run as HTML, from what its tasks pushed: values in, text out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

JOB = ("shard", "round", "provider_job_id", "task_id", "state", "done", "failed", "records")
COUNTS = ("records", "answered", "repaired", "failed", "missing", "duplicates", "foreign", "unreadable")
STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color-scheme:light dark}"
    "table{border-collapse:collapse}td,th{padding:.15rem 1rem .15rem 0;text-align:left;vertical-align:top}"
    "code{overflow-wrap:anywhere}"
)

Values = Mapping[str, Any]


def run_page(dag_id: str, run_id: str, pushed: Values) -> str:
    """`pushed` has what there is of plan, spec, connector_id, model_id, jobs, outcomes and report."""
    title = escape(f"{dag_id}: {run_id}")
    parts = (_plan(pushed), _model(pushed), _jobs(pushed), _report(pushed.get("report")))
    body = "\n".join(line for part in parts for line in part)
    return (
        f'<!doctype html><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>\n<h1>{title}</h1>\n{body}'
    )


def _plan(pushed: Values) -> Iterator[str]:
    yield '<h2 id="plan">Plan</h2>'
    plan, spec = pushed.get("plan"), pushed.get("spec") or {}
    if not plan:
        yield "<p>There is no plan: the input is not prepared yet, or could not be. The task's log says why.</p>"
        return
    yield _table(
        {
            "rows": plan["records"],
            "unchanged documents, not sent": plan.get("unchanged"),
            "documents without text, not sent": plan.get("empty"),
            "rows with the vector of an earlier run, not sent": plan.get("reused_rows"),
            "rows with the text of another row, not sent": plan.get("twins"),
            "shards": plan["shards"],
            "bytes": plan["bytes"],
            "estimated input tokens": plan["estimated_tokens"],
            "estimated price": _usd(plan["estimated_usd"]),
            "dry run": "yes, nothing is sent" if plan.get("dry_run") else "no",
            "input": spec.get("input", {}).get("uri"),
            "output": spec.get("output", {}).get("uri"),
        }
    )


def _model(pushed: Values) -> Iterator[str]:
    spec = pushed.get("spec") or {}
    model = spec.get("model", {})
    yield '<h2 id="model">Connector and model</h2>'
    yield _table(
        {
            "connector": pushed.get("connector_id"),
            "model": pushed.get("model_id"),
            "registered as": model.get("registered_as") or spec.get("name"),
            "vendor's model": model.get("name"),
            "parameters": ", ".join(f"{name}: {value}" for name, value in model.get("parameters", {}).items()),
        }
    )


def _jobs(pushed: Values) -> Iterator[str]:
    """Of the tasks that submitted and waited; without them, as an older run, of the report."""
    ends = {outcome["job"]["provider_job_id"]: outcome for outcome in pushed.get("outcomes") or ()}
    rows = [_job(job, ends.get(job["provider_job_id"])) for job in pushed.get("jobs") or ()]
    yield '<h2 id="jobs">Jobs</h2>'
    if table := [*_rows("", JOB, rows or (pushed.get("report") or {}).get("jobs", ()))]:
        yield from table
        yield "<p>A task is a document of the cluster: <code>GET /_plugins/_ml/tasks/TASK_ID</code>.</p>"
    else:
        yield "<p>No job is submitted yet.</p>"


def _job(job: Values, end: Values | None) -> Values:
    shard = job.get("shard") or {}
    return {
        **{name: job.get(name) for name in ("provider_job_id", "task_id")},
        "shard": shard.get("index"),
        "round": shard.get("round", 0),
        "records": shard.get("records"),
        "state": end["state"] if end else "not ended when a task last looked",
        "done": f"{_number(end['requests_done'])} of {_number(end['requests_total'])}" if end else "",
        "failed": end["requests_failed"] if end else "",
    }


def _report(report: Values | None) -> Iterator[str]:
    yield '<h2 id="report">Report</h2>'
    if not report:
        yield "<p>The run is not summed up yet.</p>"
        return
    yield _table(
        {
            "manifest": report["manifest"],
            **{name: report[name] for name in COUNTS if report.get(name) or name in COUNTS[:2]},
            "tokens": f"{_number(report['actual_tokens'])} (estimated {_number(report['estimated_tokens'])})",
            "price": f"{_usd(report['actual_usd'])} (estimated {_usd(report['estimated_usd'])})",
        }
    )
    yield from _written(report.get("written"))
    yield from _compared(report.get("parity"))
    yield from _swapped(report.get("swapped"))
    yield from _list("Results", report["results"])
    yield from _list("Failures", report["failures"])
    yield from _rows("First failed rows", ("id", "code", "message"), report["examples"])


def _swapped(swapped: Values | None) -> Iterator[str]:
    """Where the alias leads."""
    if not swapped:
        return
    parts = (swapped["carried"], swapped["after"])
    yield "<h3>Alias</h3>"
    yield _table(
        {
            swapped["alias"]: f"leads to {swapped['index']}",
            "kept for a rollback": swapped["kept"],
            "documents": swapped["documents"],
            "without a vector": swapped["without_vector"],
            "edits carried over": sum(part["written"] for part in parts),
            "deletions carried over": sum(part["deleted"] for part in parts),
            "no longer needed": ", ".join(swapped["older"]),
        }
    )


def _written(written: Values | None) -> Iterator[str]:
    """What became of the vectors in the index."""
    if not written:
        return
    yield "<h3>In the index</h3>"
    yield _table(
        {
            "written": written["written"],
            "edited meanwhile, left alone": written["superseded"],
            "deleted meanwhile": written["deleted"],
            "a chunk has no vector, left alone": written.get("incomplete"),
            "refused": sum(written["refused"].values()),
            "for example": ", ".join(written["named"]),
        }
    )
    yield from _rows("First refused vectors", ("id", "code", "message"), written["examples"])


def _compared(parity: Values | None) -> Iterator[str]:
    """The check of a sample of the vectors."""
    if not parity:
        return
    yield "<h3>Against the model's online answers</h3>"
    yield _table(
        {
            "documents compared": parity["compared"],
            "least cosine": parity["least_cosine"],
            "mean cosine": parity["mean_cosine"],
            "below": f"{parity['below']} {' '.join(parity['named'])}",
            "recall@10": parity["recall"],
            "left out": ", ".join(f"{count} {reason}" for reason, count in parity["left_out"].items()),
            "not compared, because": parity["why_not"],
            "refused, because": parity["shut"],
        }
    )


def _table(values: Mapping[str, Any]) -> str:
    rows = (f"<tr><th>{escape(name)}<td>{_shown(value)}" for name, value in values.items() if value not in (None, ""))
    return f"<table>{''.join(rows)}</table>"


def _list(title: str, uris: Sequence[str]) -> Iterator[str]:
    if uris:
        yield f"<h3>{title}</h3><ul>{''.join(f'<li>{_shown(uri)}' for uri in uris)}</ul>"


def _rows(title: str, names: Sequence[str], rows: Iterable[Values]) -> Iterator[str]:
    lines = ["<tr>" + "".join(f"<td>{_shown(row.get(name, ''))}" for name in names) for row in rows]
    if lines:
        head = "".join(f"<th>{escape(name.replace('_', ' '))}" for name in names)
        yield f"{f'<h3>{title}</h3>' if title else ''}<table><tr>{head}{''.join(lines)}</table>"


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, str):
        return f"<code>{escape(value)}</code>" if "://" in value else escape(value)
    return escape(_number(value))


def _number(value: Any) -> str:
    return f"{value:,}"


def _usd(value: float | None) -> str:
    return "unknown" if value is None else f"${value:,.4f}"
