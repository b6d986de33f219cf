"""`python -m opensearch_batch.clean_provider MANIFEST …`: delete the provider's files of runs that have landed.

Per run: the input files uploaded by this package and the output files of the batches; no further file is ever touched.
Files go only where the manifest accounts for every row, every landed file still has the bytes it landed with, and the
days of the run's `output.keep_provider_files_days` (or --keep-days) have passed. An input file also tells a cleared
submit_batch that the shard was paid for. Without the input file only the task's own note tells so, and Airflow keeps
the note for [state_store] default_retention_days (30).

Connections come from the same sources as in Airflow (AIRFLOW_CONN_…, or the configured secrets backend), but not from
Airflow's database.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from opensearch_batch import providers
from opensearch_batch.errors import BatchError, InputError, Refused
from opensearch_batch.land.manifest import Manifest, read_manifest, still_kept
from opensearch_batch.land.report import ReportedJob
from opensearch_batch.providers.protocol import Provider
from opensearch_batch.providers.store import ProviderStore, open_store_of
from opensearch_batch.storage import matches, size_of
from opensearch_batch.submit.shares import held_files, release

GOOD, BAD = 0, 1

SizeOf = Callable[[str], int | None]


@dataclass(frozen=True)
class Kept:
    """The reason why no file of a run is deleted."""

    reason: str


class _Model(msgspec.Struct):
    provider: str = providers.DEFAULT.NAME


class _Output(msgspec.Struct):
    keep_provider_files_days: float | None = None


class _Connections(msgspec.Struct):
    provider: str | None = None


class _Spec(msgspec.Struct):
    """What is needed here of a manifest's spec, whatever version wrote the rest."""

    model: _Model = msgspec.field(default_factory=_Model)
    output: _Output = msgspec.field(default_factory=_Output)
    connections: _Connections = msgspec.field(default_factory=_Connections)
    work_uri: str = ""


def due(manifest: Manifest, keep_days: float | None, now: datetime, size: SizeOf) -> list[ReportedJob] | Kept:
    """Return the landed jobs with files to delete, or Kept with the reason against.

    `keep_days` counts from the writing of the manifest; without a number the spec in the manifest decides. `size`
    returns the bytes of a landed file, to compare with the manifest.
    """
    report = manifest.report
    days = _spec(manifest).output.keep_provider_files_days if keep_days is None else keep_days
    if days is None:
        return Kept("neither its spec's output.keep_provider_files_days nor --keep-days says how long to keep them")
    if how_long := still_kept(manifest.written_at, days, now):
        return Kept(f"they are kept {how_long}")
    if report.missing or report.unreadable:
        return Kept(f"{report.missing} rows are missing, {report.unreadable} lines could not be read")
    for entry in manifest.files:
        if (found := size(entry.uri)) != entry.bytes:
            is_now = "gone" if found is None else f"{found} bytes"
            return Kept(f"{entry.uri} had {entry.bytes} bytes when it landed and is {is_now}")
    return report.jobs


def without_shared(jobs: Sequence[ReportedJob], work_uri: str, *, dry_run: bool) -> list[ReportedJob]:
    """Return the jobs whose files nobody else needs. A job of another run is given back, and its files are left to that
    run; a job that another run has taken, and has not given back, keeps its files.
    """
    left = []
    if work_uri and not dry_run:  # also for a key whose run shared first, and has paid since
        release(work_uri, {job.key for job in jobs})
    holding = held_files(work_uri, {job.key for job in jobs}) if work_uri else {}
    for job in jobs:
        if job.shared_with:
            print(f"batch {job.provider_job_id} is the run {job.shared_with}'s: its clean-up deletes the files")
        elif shares := holding.get(job.key):
            runs = ", ".join(sorted({share.run for share in shares}))
            print(f"kept the files of batch {job.provider_job_id}: shared by {runs}; clean that up first")
        else:
            left.append(job)
    return left


def files_of(job: ReportedJob, store: ProviderStore, vendor: Provider) -> Iterator[str]:
    """Yield the ids of a landed job's files: the outputs, and the input file where this package uploaded a shard.

    Yield no id for a job unknown to the provider, or known with a different input file.
    """
    try:
        remote = store.get_job(job.provider_job_id)
    except Refused as error:
        if error.status != 404:
            raise
        return
    if vendor.input_file_id(remote) != job.input_file_id:
        return
    yield from vendor.read_job(remote).outputs
    if job.shard is not None and job.input_file_id is not None:
        yield job.input_file_id


def clean(manifest: Manifest, jobs: Sequence[ReportedJob], store: ProviderStore, *, dry_run: bool) -> int:
    """Delete the files of the jobs and print every deleted id; return the number.

    With `dry_run` only print the ids, and return the number of ids.
    """
    vendor = providers.get(_spec(manifest).model.provider)
    count = 0
    for job in jobs:
        for file_id in files_of(job, store, vendor):
            if dry_run or store.delete_file(file_id):
                print(f"{'would delete' if dry_run else 'deleted'} {file_id} (batch {job.provider_job_id})")
                count += 1
    return count


def main(argv: list[str] | None = None) -> int:
    """Clean up after every manifest; return 0, or 1 where a manifest could not be read or the provider refused."""
    given = _arguments(argv)
    ended = GOOD
    for uri in given.manifests:
        try:
            found = [uri] if size_of(uri) is not None else matches(uri)
            if not found:
                raise InputError(f"{uri}: matches no object")
            for one in found:
                _see_to(one, given)
        except BatchError as error:
            where = "" if uri in str(error) else f"{uri}: "
            print(f"error: {where}{error}", file=sys.stderr)
            ended = BAD
    return ended


def _see_to(uri: str, given: argparse.Namespace) -> None:
    manifest = read_manifest(uri)
    jobs = due(manifest, given.keep_days, datetime.now(UTC), size_of)
    if isinstance(jobs, Kept):
        print(f"{uri}: nothing is deleted: {jobs.reason}")
        return
    jobs = without_shared(jobs, _spec(manifest).work_uri, dry_run=given.dry_run)
    count = clean(manifest, jobs, _store_of(manifest, given.provider_conn_id), dry_run=given.dry_run)
    print(f"{uri}: {count} files {'would be ' if given.dry_run else ''}deleted")


def _store_of(manifest: Manifest, conn_id: str | None) -> ProviderStore:
    vendor = providers.get(_spec(manifest).model.provider)
    conn_id = conn_id or _spec(manifest).connections.provider or vendor.CONNECTION
    return open_store_of(vendor, conn_id, another="with --provider-conn-id")


def _spec(manifest: Manifest) -> _Spec:
    try:
        return msgspec.convert(manifest.spec, _Spec)
    except msgspec.ValidationError as error:
        raise InputError(f"{manifest.report.manifest}: its spec is not of this version: {error}") from error


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m opensearch_batch.clean_provider", description=__doc__)
    parser.add_argument(
        "manifests", nargs="+", metavar="MANIFEST", help="URI of a run's manifest, or a glob of several"
    )
    parser.add_argument("--dry-run", action="store_true", help="only name what would be deleted")
    parser.add_argument("--keep-days", type=float, help="since the manifest was written; default: what its spec says")
    parser.add_argument("--provider-conn-id", help="default: the spec's, else the provider's own")
    given = parser.parse_args(argv)
    if given.keep_days is not None and not given.keep_days >= 0:
        parser.error("--keep-days is a number of days, and not negative")
    return given


if __name__ == "__main__":
    sys.exit(main())
