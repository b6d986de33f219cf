"""Judging a run by its Report: why it may not count as good, and what to do then."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from msgspec import UNSET

from opensearch_batch.flow.landed import Landed
from opensearch_batch.flow.written import Written
from opensearch_batch.land.report import Report, shards_named

log = logging.getLogger(__name__)


def why_not_complete(
    report: Report, landed: Sequence[Landed], failed: Sequence[str], max_failed_fraction: float
) -> str | None:
    """`failed` names the failed tasks."""
    cause = f" {', '.join(failed)} failed, see the log there." if failed and not report.all_landed else ""
    if report.left:
        log.warning(
            "%d rows were handed on to a repair round and did not land there; they keep their earlier reason.%s",
            report.left,
            cause,
        )
    if report.problems:
        return f"not every planned row is accounted for: {'; '.join(report.problems)}.{cause} {report}."
    if report.written and (why := _why_not_written(report, report.written, failed)):
        return why
    if report.parity and report.parity.shut:
        return f"{report.parity.shut}. The vectors are in the index. {report.parity}."
    bad = report.bad_rows or 0
    failed_at_provider, sent = report.failed - bad, report.records - bad - (report.reused or 0)
    if failed_at_provider > max_failed_fraction * sent:
        return (
            f"{failed_at_provider} of {sent} rows failed ({report.codes}), {max_failed_fraction:.2%} may"
            f"{_first_words(report)}. {'All answers have landed; the' if report.answered else 'The'} reasons are in "
            f"{', '.join(report.failures)}.{cause if report.left else ''} {what_now(landed)}".rstrip()
        )
    return None


def why_not_swapped(failed: Sequence[str]) -> str:
    cause = f"{', '.join(failed)} failed, see the log there." if failed else "A task before the swap did not run."
    return (
        f"all vectors are in the new index, and the alias was not moved. {cause} Clear that task, and it goes on; "
        "nothing is sent to the provider again."
    )


def _why_not_written(report: Report, written: Written, failed: Sequence[str]) -> str | None:
    if written.vectors < report.answered:
        cause = f" {', '.join(failed)} failed, see the log there." if failed else ""
        return (
            f"{report.answered - written.vectors} of {report.answered} vectors have landed and are not in the index."
            f"{cause} Clear {_writer(written)}, and it goes on; nothing is sent to the provider again."
        )
    if written.refused:
        first = "".join(f", first {each.id}: {each.code}: {each.message}" for each in written.examples[:1])
        return (
            f"the index refused {sum(written.refused.values())} of {written.documents} vectors ({written.refused})"
            f"{first}. All other vectors are in the index. Correct the mapping or the document, and clear "
            f"{_writer(written)}."
        )
    return None


def _writer(written: Written) -> str:
    return "write_back" if written.chunks is UNSET else "write_chunks"


def what_now(landed: Sequence[Landed]) -> str:
    """Advise a person on failed rows: a clear sends a job without any answer again, and no other job."""
    failed = [part for part in landed if part.failed and not part.job.is_online]
    unanswered = [part for part in failed if not part.answered and not part.repair]
    answered = [part for part in failed if part.answered or part.repair]
    advice = []
    if any(part.failed and part.job.is_online for part in landed):
        advice.append(
            "A clear of answer_stragglers asks again for its rows without an answer, and for none whose answer is "
            "kept, as one that does not fit the schema."
        )
    if unanswered:
        advice.append(
            f"Nothing of {_named(unanswered)} was answered: fix the model, the spec or what the provider names, then "
            "clear submit_batch there (prepare_input, if the spec or the input changed), and it is sent again."
        )
    if answered:
        advice.append(
            f"A clear does not send the failed rows of {_named(answered)} again, because the job has answers or its "
            "rows went to a repair round: give these rows to a new run as its input."
        )
    if answered and not unanswered and all(part.state == "completed" for part in answered):
        advice.append(
            "If they may fail, raise max_failed_fraction and clear prepare_input (without a plan: this task); "
            "nothing is sent again."
        )
    return " ".join(advice)


def _named(parts: Sequence[Landed]) -> str:
    shards = [part.job.shard for part in parts if part.job.shard]
    if len(shards) == len(parts):
        rounds: dict[int, list[int]] = {}
        for shard in shards:
            rounds.setdefault(shard.round, []).append(shard.index)
        return ", ".join(
            shards_named(indexes) + (f" of repair {number}" if number else "") for number, indexes in rounds.items()
        )
    return ", ".join(f"job {part.job.provider_job_id}" for part in parts)


def _first_words(report: Report) -> str:
    return "".join(f", first {row.id}: {row.message!r}" for row in report.examples[:1])
