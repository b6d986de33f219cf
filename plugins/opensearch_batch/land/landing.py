"""Landing: one shard's output files become its results and failures at the output URI; the manifest, written last, is
the truth.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from itertools import chain
from typing import Any

import orjson

from opensearch_batch.flow.answers import Answer, Usage
from opensearch_batch.flow.jobs import Job, Outcome
from opensearch_batch.flow.landed import Landed
from opensearch_batch.flow.shards import Shard
from opensearch_batch.land.reconcile import Left, Tally, fate, join
from opensearch_batch.land.report import Report
from opensearch_batch.prepare.row_ids import row_groups, row_ids
from opensearch_batch.providers.protocol import Provider
from opensearch_batch.providers.store import ProviderStore
from opensearch_batch.sinks.formats import Format, open_results
from opensearch_batch.sinks.jsonl import JsonLines
from opensearch_batch.storage import names_in, open_binary, remove, size_of, write_object

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"


def land(
    outcome: Outcome,
    store: ProviderStore,
    provider: Provider,
    output_uri: str,
    run_key: str,
    output_format: Format = "jsonl",
    *,
    repair: bool = False,
) -> Landed:
    """Stream every output file of the job into results and failures; both appear whole, by rename, or not at all.

    With `repair`, rows that failed for a passing reason go to the shard's `handed_on_uri` instead, for a later round.
    Repeating writes the same names again. Raise Transient when a download cannot be finished.
    """
    job = Job.from_dict(outcome.job)
    ids, groups = _asked(job, store, provider)
    tally = Tally(repair=repair and job.shard is not None)
    part = Shard.from_dict(job.shard).part if job.shard else job.key[-12:]
    with ExitStack() as stack:
        about = {"model_id": job.model_id, "run": run_key, "shard": part, "batch_id": job.provider_job_id}
        results = stack.enter_context(open_results(f"{output_uri}/results-{run_key}-{part}", output_format, about))
        failures = stack.enter_context(JsonLines(f"{output_uri}/failures-{run_key}-{part}.jsonl"))
        handed_on = stack.enter_context(_handed_on(job, tally))
        end = fate(outcome.state, outcome.error_code, outcome.error_message, provider.passes)
        for row in join(ids, store.answers(outcome), provider, end, tally, groups):
            if isinstance(row, Answer):
                results.add(row)
            elif handed_on and tally.hands_on(row):
                handed_on.add_line({**row.line, "alone": row.alone})
            else:
                failures.add_line(row.line)
        written = {"results": results.commit(), "failures": failures.commit()}
        if handed_on:
            written["repair"] = handed_on.commit()
    _warn(job, outcome, tally)
    usage = store.usage(outcome) or Usage(outcome.input_tokens, outcome.output_tokens, outcome.instance_seconds)
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
        input_tokens=usage.input_tokens or tally.usage.input_tokens,
        output_tokens=usage.output_tokens or tally.usage.output_tokens,
        instance_seconds=usage.instance_seconds,
        codes=tally.codes,
        named=tally.named,
        examples=tally.examples,
        passing=tally.passing,
        **written,
    )


def _handed_on(job: Job, tally: Tally) -> AbstractContextManager[JsonLines | None]:
    """Nothing where no round follows; then none has the job's rows either."""
    if job.shard is None:
        return nullcontext()
    uri = Shard.from_dict(job.shard).handed_on_uri(job.key)
    if not tally.repair:
        remove(uri)
        return nullcontext()
    return JsonLines(uri)


def write_manifest(
    report: Report, landed: list[Landed], about: dict[str, Any], run_key: str, left: Sequence[Left] = ()
) -> None:
    """Write the manifest, then remove files of this run that it does not name (left by killed or cleared tries).

    None is removed while a shard has not landed: an earlier try may have landed it, and the provider may no longer
    have it.
    """
    files = [
        {"kind": kind, **entry} for part in landed for kind in ("results", "failures") if (entry := getattr(part, kind))
    ]
    files += [{"kind": "failures", **rest.failures} for rest in left]
    folder = report.manifest.rsplit("/", 1)[0]
    content = {"version": 1, **about, "report": report.to_dict(), "files": files}
    write_object(report.manifest, orjson.dumps(content, option=orjson.OPT_INDENT_2))
    if not report.all_landed:
        return
    named = {entry["uri"].rsplit("/", 1)[-1] for entry in files}
    for name in names_in(folder):
        if f"-{run_key}-" in name and name not in named:
            remove(f"{folder}/{name}")


def landed_before(manifest: str, dag_id: str, run_id: str) -> bool:
    """Whether every shard of this run, those of its repair rounds too, has landed in an earlier try, as the manifest
    there says.
    """
    if size_of(manifest) is None:
        return False
    with open_binary(manifest) as source:
        told = orjson.loads(source.read())
    same_run = (told.get("dag_id"), told.get("run_id")) == (dag_id, run_id)
    return same_run and Report.from_dict(told["report"]).all_landed


def _asked(job: Job, store: ProviderStore, provider: Provider) -> tuple[list[str], dict[str, tuple[str, ...]] | None]:
    """Row ids, and those by request where requests have many; of raw parameters from the provider's input file."""
    if job.shard:
        shard = Shard.from_dict(job.shard)
        groups = row_groups(shard)
        return [*chain.from_iterable(groups.values())] if groups else [*row_ids(shard, provider)], groups
    if not job.input_file_id:
        return [], None
    return [provider.request_id(orjson.loads(line)) for line in store.lines(job.input_file_id) if line.strip()], None


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
    if tally.passing:
        log.warning("%s: %d rows go to the next repair round: %s", job.name, sum(tally.passing.values()), tally.passing)
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
