"""Answering: the open rows priced, asked online where the limit allows, and landed as a batch's answers are."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from opensearch_batch import providers
from opensearch_batch.cluster.online import Send
from opensearch_batch.flow.asked import Asked
from opensearch_batch.flow.jobs import Job
from opensearch_batch.flow.landed import Landed
from opensearch_batch.flow.shards import Shard
from opensearch_batch.flow.stragglers import Stragglers
from opensearch_batch.land.landing import Sent, Target, land_answers
from opensearch_batch.land.output_check import checking, schema_of
from opensearch_batch.land.reconcile import Check, Fate, Tally
from opensearch_batch.prepare.prices import straggler_tariff_of
from opensearch_batch.prepare.row_ids import row_groups
from opensearch_batch.spec import BatchSpec
from opensearch_batch.stragglers.answers import REFUSED, Answers, Reader
from opensearch_batch.stragglers.asking import Pace, ask_all
from opensearch_batch.stragglers.connector import why_not_whole
from opensearch_batch.stragglers.cost import Meter, Sum, meter_of
from opensearch_batch.stragglers.open_rows import OpenRow, rows_of
from opensearch_batch.stragglers.questions import Question, for_texts, for_vectors, reason_of

log = logging.getLogger(__name__)

PREDICT = "_predict"
"""Stands in results where the id of a batch would."""


@dataclass(frozen=True)
class Open:
    """The open rows of a run, and what is known of them. `check` is that of an output schema."""

    shards: Sequence[Shard]
    spec: BatchSpec
    answers: Answers
    meter: Meter
    check: Check | None

    def rows(self) -> Iterator[OpenRow]:
        for shard in self.shards:
            yield from rows_of(shard, self.spec)

    def lands(self, row: OpenRow) -> bool:
        """Whether the answer that was kept of the row lands as a result."""
        answer = self.answers.answer_to(row)
        return answer is not None and not reason_of(answer, self.check)


def open_of(shards: Sequence[Shard], spec: BatchSpec, answers: Answers) -> Open:
    schema = schema_of(shards[0] if shards else None)
    return Open(shards, spec, answers, meter_of(spec, schema), checking(schema) if schema else None)


def answer_rows(found: Open, send: Send, model_id: str, mark: Callable[[], None]) -> Stragglers:
    """Ask what is open, if all of it may be paid for; `mark` is called before the first question.

    Raise Transient where the model cannot be reached; what was answered by then is kept.
    """
    limits, answers, tariff = found.spec.limits, found.answers, straggler_tariff_of(found.spec)
    wanted, before, unaskable, tried = Sum(tariff), Sum(tariff), 0, False
    for row in found.rows():
        if limits.max_straggler_usd and not row.askable:
            answers.refuse_placeholders(row)
            unaskable += 1
            continue
        at_most = found.meter.at_most(row)
        wanted.add(at_most)
        if answers.has(row):
            before.add(at_most)
            tried = tried or found.lands(row)
    why_not = _why_not(wanted, limits.max_straggler_usd)
    if not why_not and before.rows < wanted.rows and found.spec.model.writes:
        why_not = why_not_whole(send, model_id)
    if not why_not and before.rows < wanted.rows:
        log.info(
            "%d rows are asked online, for at most about $%.4f at %s; %d were answered by an earlier try",
            wanted.rows - before.rows,
            wanted.usd - before.usd,
            tariff.origin if tariff else "",
            before.rows,
        )
        mark()
        left = (row for row in found.rows() if row.askable and not answers.has(row))
        question = _question(found, send, model_id)
        why_not = ask_all(question, left, Pace(limits.stragglers_per_second), answers.keep, tried=tried)
    return _summed(found, wanted, unaskable, why_not)


def _question(found: Open, send: Send, model_id: str) -> Question:
    model = found.spec.model
    if model.writes:
        return for_texts(send, model_id, providers.get(model.provider), found.check)
    asked = found.shards[0].asked or Asked()
    return for_vectors(send, model_id, asked.dimensions)


def _why_not(wanted: Sum, limit_usd: float) -> str:
    if not limit_usd:
        return "limits.max_straggler_usd is 0: none was asked"
    if wanted.money is None:
        return "their list price is not known: say limits.straggler_usd_per_million_tokens"
    if wanted.usd > limit_usd:
        return f"about ${wanted.usd:.4f} is above limits.max_straggler_usd, ${limit_usd:g}: none was asked"
    return ""


def _summed(found: Open, wanted: Sum, unaskable: int, why_not: str) -> Stragglers:
    paid, answered, refused = Sum(wanted.tariff), 0, 0
    for row in found.rows():
        if (answer := found.answers.answer_to(row)) is not None:
            paid.add(found.meter.of(row, answer))
            answered += not reason_of(answer, found.check)
        elif found.answers.code_of(row) == REFUSED:
            refused += 1
    return Stragglers(
        rows=wanted.rows + unaskable,
        answered=answered,
        refused=refused + paid.rows - answered,
        unaskable=unaskable,
        tokens=paid.tokens,
        estimated_usd=wanted.money,
        usd=paid.money,
        limit_usd=found.spec.limits.max_straggler_usd,
        why_not=why_not,
    )


def land_online(found: Open, shard: Shard, model_id: str, target: Target) -> Landed:
    """Land the shard's rows, answered or not. Its usage is not that of batches, and stands in Stragglers alone."""
    groups = row_groups(shard)
    ids = [row.id for row in rows_of(shard, found.spec)]
    lines = partial(found.answers.lines, shard, found.spec)
    digest = hashlib.sha256()
    for line in lines():
        digest.update(line)
    job = Job(f"online-{digest.hexdigest()[:16]}", 1, PREDICT, None, None, model_id, shard)
    reader = Reader(providers.get(found.spec.model.provider))
    return land_answers(Sent(job, ids, groups), lines(), reader, Fate(), Tally(), target)
