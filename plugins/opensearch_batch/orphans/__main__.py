"""List the jobs that a provider still runs for this package, and whose they are; --cancel ends those without a run.

A job is an orphan where its run was deleted from this Airflow. Where that cannot be told the line says so, and the job
is left alone. Run the command where Airflow's own commands run: Airflow's database is asked, for the connections too.
Exit status 1 where something could not be asked, or a job could not be cancelled.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from opensearch_batch.errors import BatchError, SpecError
from opensearch_batch.spec import BatchSpec

if TYPE_CHECKING:
    from opensearch_batch.orphans.verdict import Runs
    from opensearch_batch.providers.store import ProviderStore
    from opensearch_batch.submit.claims import Claim

GOOD, BAD = 0, 1
ANY = "*"
"""For {partition} and {run_id} in work_uri: every run of the spec."""

SIGNS = {"run": "owned", "orphan": "ORPHAN", "unknown": "?"}


def main(argv: list[str] | None = None) -> int:
    """Return 0, or 1 where something could not be asked or cancelled."""
    from opensearch_batch.orphans.known_runs import known_runs

    given = _arguments(argv)
    try:
        spec = BatchSpec.load(given.spec).resolve(partition=ANY, run_id=ANY)
        with known_runs() as runs:
            return look(spec, _store_of(spec), runs, cancel=given.cancel, more_work=given.work_uri)
    except BatchError as error:
        print(f"error: {error}. Nothing more was cancelled", file=sys.stderr)
        return BAD


def look(
    spec: BatchSpec, store: ProviderStore, runs: Runs, *, cancel: bool = False, more_work: Iterable[str] = ()
) -> int:
    """Print a line a job; cancel the orphans where `cancel` says so. Return 1 where one could not be cancelled."""
    from opensearch_batch import providers
    from opensearch_batch.orphans.at_provider import running_jobs
    from opensearch_batch.orphans.verdict import verdict
    from opensearch_batch.submit.claims import claims_of
    from opensearch_batch.submit.shares import shares_of

    jobs = list(running_jobs(store, providers.get(spec.model.provider), time.time()))
    claims: dict[str, Claim] = {}
    shares: dict[str, list[Claim]] = {}
    uris = (spec.work_uri, *more_work)
    for work_uri in uris:
        claims |= claims_of(work_uri, {job.key for job in jobs})
        for key, more in shares_of(work_uri, {job.key for job in jobs}).items():
            shares[key] = shares.get(key, []) + more
    orphans, ended = 0, GOOD
    for job in jobs:
        found = verdict(claims.get(job.key), runs, shares.get(job.key, ()))
        if found.owner == "orphan" and cancel:  # a run may have taken the job meanwhile
            now = [share for uri in uris for share in shares_of(uri, [job.key]).get(job.key, [])]
            found = verdict(claims.get(job.key), runs, now)
        done = ""
        if found.owner == "orphan":
            orphans += 1
            if cancel and not job.ending:
                try:
                    store.cancel_job(job.id)
                    done = "; cancelled"
                except BatchError as error:
                    done, ended = f"; NOT cancelled: {error}", BAD
        print(f"{SIGNS[found.owner]} {job.id} ({job.told}): {found.why}{done}")
    print(f"{len(jobs)} jobs run, {orphans} without a run")
    return ended


def _store_of(spec: BatchSpec) -> ProviderStore:
    from opensearch_batch import providers
    from opensearch_batch.providers.store import open_store_of

    if ANY in str(spec.model.job.get("files_uri")):
        raise SpecError("model.job.files_uri has a placeholder, and a provider's files are looked for in one folder")
    return open_store_of(providers.get(spec.model.provider), spec.provider_connection, spec.model.job)


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m opensearch_batch.orphans",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("spec", metavar="SPEC", help="a spec's YAML file: its provider, connections and work_uri")
    parser.add_argument("--cancel", action="store_true", help="cancel the orphans; default: only list")
    parser.add_argument("--work-uri", action="append", default=[], help="a further work_uri to look for claims in")
    return parser.parse_args(argv)


if __name__ == "__main__":
    # As Airflow's own commands: connections are read from its database too.
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")
    logging.getLogger("opensearch_batch").setLevel(logging.ERROR)
    sys.exit(main())
