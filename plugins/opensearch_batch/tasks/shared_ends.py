"""Shared ends: what becomes of a wait for another run's job when that job was cancelled."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from opensearch_batch.errors import CancelledElsewhere
from opensearch_batch.flow.jobs import Outcome, is_spent
from opensearch_batch.tasks.base import open_provider_store
from opensearch_batch.tasks.settings import TaskSettings


def with_whose_act(settings: TaskSettings, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return the Outcomes; cancelled jobs of other runs say whose they are, for the rows without an answer.

    Raise CancelledElsewhere where such a job ended without any answer: who cancelled it did not order another job.
    """
    told = []
    for each in outcomes:
        owner = each.job.shared_with
        if owner and each.state == "cancelled":
            whose = f"it is shared with the run {owner}, and was cancelled there, or at the provider"
            document = open_provider_store(settings).get_job(each.job.provider_job_id)
            if is_spent(settings.provider.read_job(document)):
                raise CancelledElsewhere(
                    f"{each.job.name} has no answer: {whose}. Nothing was cancelled and nothing was paid by this run. "
                    "Clear submit_batch with what follows: it takes what that run has sent since, or sends the rows"
                )
            each = replace(each, error_message=each.error_message or whose)
        told.append(each)
    return told
