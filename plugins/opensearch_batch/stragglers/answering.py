"""Answering: the open rows priced, asked online where the limit allows, and landed as a batch's answers are."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from opensearch_batch import providers
from opensearch_batch.cluster.online import PLACEHOLDER, Send
from opensearch_batch.flow.answers import Usage
from opensearch_batch.flow.asked import Asked
from opensearch_batch.flow.jobs import Job
from opensearch_batch.flow.landed import Landed
from opensearch_batch.flow.shards import Shard
from opensearch_batch.flow.stragglers import Stragglers
from opensearch_batch.land.landing import Sent, Target, land_answers
from opensearch_batch.land.reconcile import Fate, Tally
from opensearch_batch.prepare.prices import Tariff, online_tariff_of
from opensearch_batch.prepare.row_ids import row_groups
from opensearch_batch.prepare.shards import estimate_tokens
from opensearch_batch.spec import BatchSpec
from opensearch_batch.stragglers.answers import REFUSED, Answers, Reader
from opensearch_batch.stragglers.asking import Pace, ask_all
from opensearch_batch.stragglers.open_rows import OpenRow, rows_of

log = logging.getLogger(__name__)

PREDICT = "_predict"
"""Stands in results where the id of a batch would."""


@dataclass
class Sum:
    """Rows, tokens and money; `usd` is None without a price."""

    tariff: Tariff | None
    rows: int = 0
    tokens: int = 0
    usd: float = 0.0

    def add(self, text: str) -> None:
        tokens = estimate_tokens(len(text.encode()))
        self.rows += 1
        self.tokens += tokens
        if self.tariff:
            self.usd += self.tariff.at(tokens).of(Usage(tokens))

    @property
    def money(self) -> float | None:
        return self.usd if self.tariff else None


def answer_rows(
    shards: Sequence[Shard],
    spec: BatchSpec,
    answers: Answers,
    send: Send,
    model_id: str,
    mark: Callable[[], None],
) -> Stragglers:
    """Ask what is open in the shards, if all of it may be paid for; `mark` is called before the first question.

    Raise Transient where the model cannot be reached; what was answered by then is kept.
    """
    limits = spec.limits
    tariff = online_tariff_of(
        providers.get(spec.model.provider), spec.model.name, limits.straggler_usd_per_million_tokens
    )
    wanted, before, unaskable = Sum(tariff), Sum(tariff), 0
    for row in _rows(shards, spec):
        if limits.max_straggler_usd and PLACEHOLDER in row.text:
            answers.refuse_placeholders(row)
            unaskable += 1
            continue
        wanted.add(row.text)
        if answers.has(row):
            before.add(row.text)
    why_not = _why_not(wanted, limits.max_straggler_usd)
    if not why_not and before.rows < wanted.rows:
        log.info(
            "%d rows are asked online, for about $%.4f at %s; %d were answered by an earlier try",
            wanted.rows - before.rows,
            wanted.usd - before.usd,
            tariff.origin if tariff else "",
            before.rows,
        )
        mark()
        left = (row for row in _rows(shards, spec) if PLACEHOLDER not in row.text and not answers.has(row))
        pace = Pace(limits.stragglers_per_second)
        asked = shards[0].asked or Asked()
        why_not = ask_all(send, model_id, left, asked.dimensions, pace, answers.keep, tried=before.rows > 0)
    return _summed(shards, spec, answers, wanted, unaskable, why_not)


def _rows(shards: Sequence[Shard], spec: BatchSpec) -> Iterator[OpenRow]:
    for shard in shards:
        yield from rows_of(shard, spec)


def _why_not(wanted: Sum, limit_usd: float) -> str:
    if not limit_usd:
        return "limits.max_straggler_usd is 0: none was asked"
    if wanted.money is None:
        return "their list price is not known: say limits.straggler_usd_per_million_tokens"
    if wanted.usd > limit_usd:
        return f"about ${wanted.usd:.4f} is above limits.max_straggler_usd, ${limit_usd:g}: none was asked"
    return ""


def _summed(
    shards: Sequence[Shard], spec: BatchSpec, answers: Answers, wanted: Sum, unaskable: int, why_not: str
) -> Stragglers:
    answered, refused = Sum(wanted.tariff), 0
    for row in _rows(shards, spec):
        if answers.has(row):
            answered.add(row.text)
        elif answers.code_of(row) == REFUSED:
            refused += 1
    return Stragglers(
        rows=wanted.rows + unaskable,
        answered=answered.rows,
        refused=refused,
        unaskable=unaskable,
        tokens=answered.tokens,
        estimated_usd=wanted.money,
        usd=answered.money,
        limit_usd=spec.limits.max_straggler_usd,
        why_not=why_not,
    )


def land_online(shard: Shard, spec: BatchSpec, answers: Answers, model_id: str, target: Target) -> Landed:
    """Land the shard's rows, answered or not. Its usage is not that of batches, and stands in Stragglers alone."""
    groups = row_groups(shard)
    ids = [row.id for row in rows_of(shard, spec)]
    lines = partial(answers.lines, shard, spec)
    digest = hashlib.sha256()
    for line in lines():
        digest.update(line)
    job = Job(f"online-{digest.hexdigest()[:16]}", 1, PREDICT, None, None, model_id, shard)
    return land_answers(Sent(job, ids, groups), lines(), Reader(), Fate(), Tally(), target)
