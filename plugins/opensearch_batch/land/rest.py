"""The rest of a run: the rows that no fetch lands, landed when all fetches have ended."""

from __future__ import annotations

from collections.abc import Sequence

from opensearch_batch import providers
from opensearch_batch.flow.data_files import DataFile
from opensearch_batch.flow.landed import Landed
from opensearch_batch.land.bad_rows import land_bad_rows
from opensearch_batch.land.planned import Planned
from opensearch_batch.land.reconcile import Left
from opensearch_batch.land.repair import leave
from opensearch_batch.land.reused import keep_for_later, land_reused
from opensearch_batch.prepare.plan import Plan
from opensearch_batch.spec import BatchSpec


def land_rest(spec: BatchSpec, plan: Plan, planned: Planned) -> tuple[list[Left], Left | None, DataFile | None]:
    """Land rows handed on that no round has landed, bad rows, and rows with a vector of an earlier run; keep for later
    runs where all vectors lie.
    """
    output_uri, vendor = spec.output.uri.rstrip("/"), providers.get(spec.model.provider)
    left = leave(planned.landed, planned.taken, vendor, output_uri, plan.run_key)
    bad = land_bad_rows([plan.bad_rows_uri] if plan.bad_rows_uri else [], output_uri, plan.run_key)
    reused = land_reused(plan, output_uri)
    if spec.reuse:
        keep_for_later(spec.reuse, _results(planned.landed, reused))
    return left, bad, reused


def _results(landed: Sequence[Landed], reused: DataFile | None) -> list[DataFile]:
    """All results files, each once."""
    files = {part.results.uri: part.results for part in landed if part.results}
    return [*files.values(), *([reused] if reused else [])]
