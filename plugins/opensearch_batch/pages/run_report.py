"""Parts of a run's page as HTML: who approved, connector and model, the report with what was written, compared and
swapped. Values in, text out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from opensearch_batch.pages.markup import Values, grid, links, number, shown, table, usd
from opensearch_batch.pages.told_run import (
    ToldApproval,
    ToldExample,
    ToldParity,
    ToldReport,
    ToldRunSpec,
    ToldStragglers,
    ToldSwapped,
    ToldWritten,
)

ANSWERS = {
    "waiting": "not yet: see Required Actions of the task",
    "approved": "approved",
    "rejected": "rejected",
    "no_answer": "nobody answered in time, which counts as rejected",
}
COUNTS = ("records", "answered", "repaired", "failed", "missing", "duplicates", "foreign", "unreadable")


def approval(asked: ToldApproval | None) -> Iterator[str]:
    """Where somebody was asked; the report says what a rejected run has sent before."""
    if not asked or asked.answer == "not_asked":
        return
    yield '<h2 id="approval">Approval</h2>'
    yield table(
        {
            "answer": ANSWERS.get(asked.answer, asked.answer),
            "by": asked.by,
            "at": asked.at,
            "asked for": f"{number(asked.records)} rows, {usd(asked.estimated_usd)}",
            "because limits.ask_above_usd is": usd(asked.ask_above_usd),
            "rejected without an answer until": asked.until,
        }
    )


def model(pushed: Values, spec: ToldRunSpec | None) -> Iterator[str]:
    spec = spec or ToldRunSpec()
    yield '<h2 id="model">Connector and model</h2>'
    yield table(
        {
            "connector": pushed.get("connector_id"),
            "model": pushed.get("model_id"),
            "registered as": spec.model.registered_as or spec.name,
            "vendor's model": spec.model.name,
            "parameters": ", ".join(f"{name}: {value}" for name, value in spec.model.parameters.items()),
        }
    )


def report_of(report: ToldReport | None) -> Iterator[str]:
    yield '<h2 id="report">Report</h2>'
    if not report:
        yield "<p>The run is not summed up yet.</p>"
        return
    if report.not_sent is not None:
        yield from _rejected(report, report.not_sent)
        return
    yield table(
        {
            "manifest": report.manifest,
            **{name: getattr(report, name) for name in COUNTS if getattr(report, name) or name in COUNTS[:2]},
            "jobs": len(report.jobs) + len(report.unlanded),
            "jobs whose answers did not land": len(report.unlanded) or None,
            "shards that never landed": ", ".join(map(str, report.absent)),
            "tokens": f"{number(report.actual_tokens)} (estimated {number(report.estimated_tokens)})",
            "price": f"{usd(report.actual_usd)} (estimated {usd(report.estimated_usd)})",
        }
    )
    yield from _stragglers(report.stragglers)
    yield from _written(report.written)
    yield from _compared(report.parity)
    yield from _swapped(report.swapped)
    yield from links("Results", report.results)
    yield from links("Failures", report.failures)


def _rejected(report: ToldReport, not_sent: int) -> Iterator[str]:
    earlier = report.records - not_sent
    words = "nothing more was sent" if earlier else "nothing was sent"
    yield f"<p><strong>The plan was rejected: {words}, and nothing was written.</strong></p>"
    yield table({"records": report.records, "not sent": not_sent, "with jobs of an earlier try": earlier})
    yield "<p>Clear the approval with what follows, and the run asks again.</p>"


def _stragglers(asked: ToldStragglers | None) -> Iterator[str]:
    """Rows that no batch has answered in time."""
    if not asked:
        return
    yield "<h3>Asked one by one</h3>"
    yield table(
        {
            "rows": asked.rows,
            "answered online": asked.answered,
            "asked without a result": asked.refused,
            "not to be asked online": asked.unaskable,
            "tokens on top": asked.tokens,
            "price on top": f"{usd(asked.usd)} (estimated {usd(asked.estimated_usd)})",
            "not asked, because": asked.why_not,
        }
    )


def _swapped(swapped: ToldSwapped | None) -> Iterator[str]:
    """Where the alias leads."""
    if not swapped:
        return
    parts = (swapped.carried, swapped.after)
    yield "<h3>Alias</h3>"
    yield table(
        {
            swapped.alias: f"leads to {swapped.index}",
            "kept for a rollback": swapped.kept,
            "documents": swapped.documents,
            "without a vector": swapped.without_vector,
            "edits carried over": sum(part.written for part in parts),
            "deletions carried over": sum(part.deleted for part in parts),
            "no longer needed": ", ".join(swapped.older),
        }
    )


def _written(written: ToldWritten | None) -> Iterator[str]:
    """What became of the vectors in the index."""
    if not written:
        return
    yield "<h3>In the index</h3>"
    yield table(
        {
            "written": written.written,
            "edited meanwhile, left alone": written.superseded,
            "deleted meanwhile": written.deleted,
            "a chunk has no vector, left alone": written.incomplete,
            "refused": sum(written.refused.values()),
            "for example": ", ".join(written.named),
        }
    )
    if written.examples:
        yield "<h3>First refused vectors</h3>"
        yield from grid(("id", "code", "words"), _examples(written.examples), frozenset({"id", "code"}))


def _examples(examples: Iterable[ToldExample]) -> Iterator[Iterator[str]]:
    return (iter([shown(each.id), shown(each.code), shown(each.message)]) for each in examples)


def _compared(parity: ToldParity | None) -> Iterator[str]:
    """The check of a sample of the vectors."""
    if not parity:
        return
    yield "<h3>Against the model's online answers</h3>"
    yield table(
        {
            "documents compared": parity.compared,
            "least cosine": parity.least_cosine,
            "mean cosine": parity.mean_cosine,
            "below": f"{parity.below} {' '.join(parity.named)}",
            "recall@10": parity.recall,
            "in doubt": " ".join(parity.doubts),
            "left out": ", ".join(f"{count} {reason}" for reason, count in parity.left_out.items()),
            "not compared, because": parity.why_not,
            "refused, because": parity.shut,
        }
    )
