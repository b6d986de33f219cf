"""Landing: one shard's output files become its results and failures at the output URI; the manifest, written last, is
the truth.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import orjson

from opensearch_batch.grouping import read_groups
from opensearch_batch.jobs import Job, Outcome
from opensearch_batch.providers.protocol import Answer, Provider
from opensearch_batch.reconcile import Landed, Report, Tally, fate, join
from opensearch_batch.result_files import Format, JsonLines, open_results
from opensearch_batch.shards import Shard
from opensearch_batch.stores import ProviderStore
from opensearch_batch.stores.object_storage import names_in, open_binary, remove, write_object

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"


def land(
    outcome: Outcome,
    store: ProviderStore,
    provider: Provider,
    output_uri: str,
    run_key: str,
    output_format: Format = "jsonl",
) -> Landed:
    """Stream every output file of the job into results and failures; both appear whole, by rename, or not at all.

    Repeating writes the same names again. Raise Transient when a download cannot be finished.
    """
    job = Job.from_dict(outcome.job)
    groups = _asked_groups(job)
    ids = (
        [row_id for group in groups.values() for row_id in group] if groups else list(_asked_ids(job, store, provider))
    )
    tally = Tally()
    part = f"{job.shard['index']:05d}" if job.shard else job.key[-12:]
    lines = (line for file_id in outcome.outputs for line in store.lines(file_id))
    with ExitStack() as stack:
        about = {"model_id": job.model_id, "run": run_key, "shard": part, "batch_id": job.provider_job_id}
        results = stack.enter_context(open_results(f"{output_uri}/results-{run_key}-{part}", output_format, about))
        failures = stack.enter_context(JsonLines(f"{output_uri}/failures-{run_key}-{part}.jsonl"))
        end = fate(outcome.state, outcome.error_code, outcome.error_message)
        for row in join(ids, lines, provider, end, tally, groups):
            if isinstance(row, Answer):
                results.add(row)
            else:
                failures.add_line({"id": row.id, "code": row.code, "message": row.message})
        written = {"results": results.commit(), "failures": failures.commit()}
    _warn(job, outcome, tally)
    return Landed(
        job=outcome.job,
        state=outcome.state,
        records=len(ids),
        answered=tally.answered,
        failed=tally.failed,
        missing=tally.missing,
        duplicates=tally.duplicates,
        foreign=tally.foreign,
        unreadable=tally.unreadable,
        input_tokens=outcome.input_tokens or tally.usage.input_tokens,
        output_tokens=outcome.output_tokens or tally.usage.output_tokens,
        codes=tally.codes,
        named=tally.named,
        examples=tally.examples,
        **written,
    )


def write_manifest(report: Report, landed: list[Landed], about: dict[str, Any], run_key: str) -> None:
    """Write the manifest, then remove files of this run that it does not name (left by killed or cleared tries)."""
    files = [
        {"kind": kind, **entry} for part in landed for kind in ("results", "failures") if (entry := getattr(part, kind))
    ]
    folder = report.manifest.rsplit("/", 1)[0]
    content = {"version": 1, **about, "report": report.to_dict(), "files": files}
    write_object(report.manifest, orjson.dumps(content, option=orjson.OPT_INDENT_2))
    named = {entry["uri"].rsplit("/", 1)[-1] for entry in files}
    for name in names_in(folder):
        if f"-{run_key}-" in name and name not in named:
            remove(f"{folder}/{name}")


def _asked_ids(job: Job, store: ProviderStore, provider: Provider) -> Iterator[str]:
    """From the shard's file; for raw parameters from the input file that the provider holds."""
    if job.shard:
        with open_binary(Shard.from_dict(job.shard).uri) as source:
            yield from (provider.request_id(orjson.loads(line)) for line in source)
    elif job.input_file_id:
        yield from (provider.request_id(orjson.loads(line)) for line in store.lines(job.input_file_id) if line.strip())


def _asked_groups(job: Job) -> dict[str, tuple[str, ...]] | None:
    """Of a shard whose requests have many rows each."""
    if not job.shard or not (uri := Shard.from_dict(job.shard).ids_uri):
        return None
    with open_binary(uri) as source:
        return read_groups(source)


def _warn(job: Job, outcome: Outcome, tally: Tally) -> None:
    level = logging.INFO if outcome.state == "completed" and not (tally.failed or tally.missing) else logging.WARNING
    log.log(
        level,
        "%s ended %s: %d answered, %d failed, %d missing",
        job.name,
        outcome.status,
        tally.answered,
        tally.failed,
        tally.missing,
    )
    if outcome.error_message:
        log.warning("%s: %s: %s", job.name, outcome.error_code, outcome.error_message)
    if tally.duplicates or tally.foreign or tally.unreadable:
        log.warning(
            "%s: %d duplicate, %d foreign, %d unreadable lines; %s",
            job.name,
            tally.duplicates,
            tally.foreign,
            tally.unreadable,
            tally.named,
        )
