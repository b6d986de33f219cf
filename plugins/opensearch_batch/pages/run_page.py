"""The page of a run as HTML, from what its tasks pushed: values in, text out."""

from __future__ import annotations

from collections.abc import Iterator

from opensearch_batch.pages.markup import Values, document, links, number, rows, table, usd

JOB = ("shard", "round", "provider_job_id", "task_id", "state", "done", "failed", "records")
ANSWERS = {
    "waiting": "not yet: see Required Actions of the task",
    "approved": "approved",
    "rejected": "rejected",
    "no_answer": "nobody answered in time, which counts as rejected",
}
COUNTS = ("records", "answered", "repaired", "failed", "missing", "duplicates", "foreign", "unreadable")


def run_page(dag_id: str, run_id: str, pushed: Values) -> str:
    """`pushed` has what there is of plan, spec, approval, connector_id, model_id, jobs, outcomes and report."""
    parts = (
        _plan(pushed),
        _approval(pushed.get("approval")),
        _model(pushed),
        _jobs(pushed),
        _report(pushed.get("report")),
    )
    return document(f"{dag_id}: {run_id}", (line for part in parts for line in part))


def _plan(pushed: Values) -> Iterator[str]:
    yield '<h2 id="plan">Plan</h2>'
    plan, spec = pushed.get("plan"), pushed.get("spec") or {}
    if not plan:
        yield "<p>There is no plan: the input is not prepared yet, or could not be. The task's log says why.</p>"
        return
    yield table(
        {
            "rows": plan["records"],
            "unchanged documents, not sent": plan.get("unchanged"),
            "documents without text, not sent": plan.get("empty"),
            "rows with the vector of an earlier run, not sent": plan.get("reused_rows"),
            "rows with the text of another row, not sent": plan.get("twins"),
            "shards": plan["shards"],
            "bytes": plan["bytes"],
            "estimated input tokens": plan["estimated_tokens"],
            "estimated price": usd(plan["estimated_usd"]),
            "dry run": "yes, nothing is sent" if plan.get("dry_run") else "no",
            "input": spec.get("input", {}).get("uri"),
            "output": spec.get("output", {}).get("uri"),
        }
    )


def _approval(approval: Values | None) -> Iterator[str]:
    """Where somebody was asked; the report says what a rejected run has sent before."""
    if not approval or approval["answer"] == "not_asked":
        return
    yield '<h2 id="approval">Approval</h2>'
    yield table(
        {
            "answer": ANSWERS.get(approval["answer"], approval["answer"]),
            "by": approval.get("by"),
            "at": approval.get("at"),
            "asked for": f"{number(approval['records'])} rows, {usd(approval['estimated_usd'])}",
            "because limits.ask_above_usd is": usd(approval["ask_above_usd"]),
            "rejected without an answer until": approval.get("until"),
        }
    )


def _model(pushed: Values) -> Iterator[str]:
    spec = pushed.get("spec") or {}
    model = spec.get("model", {})
    yield '<h2 id="model">Connector and model</h2>'
    yield table(
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
    jobs = [_job(job, ends.get(job["provider_job_id"])) for job in pushed.get("jobs") or ()]
    yield '<h2 id="jobs">Jobs</h2>'
    if lines := [*rows("", JOB, jobs or (pushed.get("report") or {}).get("jobs", ()))]:
        yield from lines
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
        "done": f"{number(end['requests_done'])} of {number(end['requests_total'])}" if end else "",
        "failed": end["requests_failed"] if end else "",
    }


def _report(report: Values | None) -> Iterator[str]:
    yield '<h2 id="report">Report</h2>'
    if not report:
        yield "<p>The run is not summed up yet.</p>"
        return
    if report.get("not_sent") is not None:
        yield from _rejected(report)
        return
    yield table(
        {
            "manifest": report["manifest"],
            **{name: report[name] for name in COUNTS if report.get(name) or name in COUNTS[:2]},
            "tokens": f"{number(report['actual_tokens'])} (estimated {number(report['estimated_tokens'])})",
            "price": f"{usd(report['actual_usd'])} (estimated {usd(report['estimated_usd'])})",
        }
    )
    yield from _written(report.get("written"))
    yield from _compared(report.get("parity"))
    yield from _swapped(report.get("swapped"))
    yield from links("Results", report["results"])
    yield from links("Failures", report["failures"])
    yield from rows("First failed rows", ("id", "code", "message"), report["examples"])


def _rejected(report: Values) -> Iterator[str]:
    earlier = report["records"] - report["not_sent"]
    words = "nothing more was sent" if earlier else "nothing was sent"
    yield f"<p><strong>The plan was rejected: {words}, and nothing was written.</strong></p>"
    yield table({"records": report["records"], "not sent": report["not_sent"], "with jobs of an earlier try": earlier})
    yield "<p>Clear the approval with what follows, and the run asks again.</p>"


def _swapped(swapped: Values | None) -> Iterator[str]:
    """Where the alias leads."""
    if not swapped:
        return
    parts = (swapped["carried"], swapped["after"])
    yield "<h3>Alias</h3>"
    yield table(
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
    yield table(
        {
            "written": written["written"],
            "edited meanwhile, left alone": written["superseded"],
            "deleted meanwhile": written["deleted"],
            "a chunk has no vector, left alone": written.get("incomplete"),
            "refused": sum(written["refused"].values()),
            "for example": ", ".join(written["named"]),
        }
    )
    yield from rows("First refused vectors", ("id", "code", "message"), written["examples"])


def _compared(parity: Values | None) -> Iterator[str]:
    """The check of a sample of the vectors."""
    if not parity:
        return
    yield "<h3>Against the model's online answers</h3>"
    yield table(
        {
            "documents compared": parity["compared"],
            "least cosine": parity["least_cosine"],
            "mean cosine": parity["mean_cosine"],
            "below": f"{parity['below']} {' '.join(parity['named'])}",
            "recall@10": parity["recall"],
            "in doubt": " ".join(parity.get("doubts") or ()),
            "left out": ", ".join(f"{count} {reason}" for reason, count in parity["left_out"].items()),
            "not compared, because": parity["why_not"],
            "refused, because": parity["shut"],
        }
    )
