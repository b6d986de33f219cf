"""Preflight: a planned run's needs at the provider against the provider's capacity, before the first upload. Figures
in, figures or a refusal out; no I/O.
"""

from __future__ import annotations

import math

from opensearch_batch.errors import Terminal
from opensearch_batch.flow.values import Value
from opensearch_batch.prepare.plan import Plan


class Preflight(Value, frozen=True):
    """`stored_bytes` are the provider's files of all runs and purposes (None: not asked), `storage_bytes` the most that
    may lie there (None: no bound).

    `fills`: how often the run fills the limits in flight; None without a limit of jobs or tokens. `hours_at_most`:
    after so long the provider has ended every batch, if each fill is submitted at the end of the fill before; answers
    usually come earlier. None where `fills` is.
    """

    records: int
    shards: int
    upload_bytes: int
    estimated_tokens: int
    stored_bytes: int | None
    storage_bytes: int | None
    window_hours: float
    fills: int | None = None
    hours_at_most: float | None = None

    def __str__(self) -> str:
        if self.fills is None:
            when = f"each batch ends within {self.window_hours:g} hours of its submission"
        else:
            when = f"in flight at once in {self.fills} fills, so ended within {self.hours_at_most:g} hours"
        stored = "what lies there" if self.stored_bytes is None else f"{self.stored_bytes} that lie there"
        capacity = "" if self.storage_bytes is None else f", which holds {self.storage_bytes} with {stored}"
        return (
            f"{self.records} rows, {self.shards} files, {self.upload_bytes} bytes to upload to the provider{capacity}; "
            f"an estimated {self.estimated_tokens} tokens, {when}"
        )


def check(
    plan: Plan,
    *,
    upload_bytes: int | None = None,
    stored_bytes: int | None,
    storage_bytes: int | None,
    window_hours: float,
    max_jobs_in_flight: int | None = None,
    max_enqueued_tokens: int | None = None,
) -> Preflight:
    """`upload_bytes` are the plan's without the files that the run has uploaded before.

    Raise Terminal where the input files alone are larger than the provider's free storage. Answers are not counted,
    because the size of the answers is not known before.
    """
    to_upload = plan.bytes if upload_bytes is None else upload_bytes
    fills = [
        math.ceil(wanted / at_once)
        for wanted, at_once in ((plan.shards, max_jobs_in_flight), (plan.estimated_tokens, max_enqueued_tokens))
        if at_once
    ]
    most = max(fills) if fills else None
    found = Preflight(
        records=plan.records,
        shards=plan.shards,
        upload_bytes=to_upload,
        estimated_tokens=plan.estimated_tokens,
        stored_bytes=stored_bytes,
        storage_bytes=storage_bytes,
        window_hours=window_hours,
        fills=most,
        hours_at_most=None if most is None else most * window_hours,
    )
    taken = stored_bytes or 0
    if storage_bytes is not None and taken + to_upload > storage_bytes:
        raise Terminal(
            f"this run uploads {to_upload} bytes, and the provider has room for {max(0, storage_bytes - taken)}: "
            f"{taken} of {storage_bytes} bytes are taken{_of_this_run(plan, to_upload)}. Nothing was sent. Delete "
            "files there (python -m opensearch_batch.clean_provider deletes what has landed), or, if your account may "
            "hold more, say limits.max_provider_bytes."
        )
    return found


def _of_this_run(plan: Plan, to_upload: int) -> str:
    before = plan.bytes - to_upload
    return f", {before} by files of this run, which find its jobs again: leave those" if before else ""
