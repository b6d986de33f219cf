"""Of Airflow: connections, storage, pool, triggerer; and the plan of a run, which reads the whole input."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from airflow.sdk import conf

from opensearch_batch.check.lines import CannotKnow, Check
from opensearch_batch.check.of_cluster import cluster_checks
from opensearch_batch.check.of_index import index_checks
from opensearch_batch.cluster.ml_commons import Call
from opensearch_batch.errors import SpecError
from opensearch_batch.spec import BatchSpec
from opensearch_batch.storage import try_writing
from opensearch_batch.submit.admission import pool_command
from opensearch_batch.tasks.base import cluster, open_provider_store, refuse_local_work
from opensearch_batch.tasks.before_paying import check_connections
from opensearch_batch.tasks.model import wanted_connectors
from opensearch_batch.tasks.settings import TaskSettings

KEEP = {"partition": "{partition}", "run_id": "{run_id}"}
"""Placeholders that stay as they are, where only the variables of the environment are filled in."""


def airflow_checks(spec: BatchSpec, settings: TaskSettings, partition: str | None) -> list[list[Check]]:
    conn_id = settings.opensearch_conn_id

    @cache
    def way() -> Callable[[Call], Any]:
        check_connections([conn_id])
        return cluster(conn_id)

    return [
        cluster_checks(conn_id, lambda call: way()(call), cache(lambda: wanted_connectors(settings))),
        [Check(f"connection {settings.provider_conn_id}", lambda: _key(settings))],
        [Check("output.uri", lambda: _written(spec, "output"))],
        [Check("work_uri", lambda: _written(spec, "work"))],
        index_checks(spec, partition),
        [Check("plan", lambda: _plan(spec, partition))],
    ]


def _key(settings: TaskSettings) -> str:
    check_connections([settings.provider_conn_id])
    next(open_provider_store(settings).recent_jobs(since=time.time()), None)
    return "the provider takes the key and lists its batch jobs"


def _written(spec: BatchSpec, which: str) -> str:
    """Write in the folder above the first placeholder."""
    filled = spec.resolve(**KEEP)
    if which == "work":
        refuse_local_work(filled)
    folder = (filled.work_uri if which == "work" else filled.output.uri).partition("{")[0].rstrip("/")
    try_writing(folder, ".opensearch-batch-check")
    return f"{folder} can be written and removed"


def _plan(spec: BatchSpec, partition: str | None) -> str:
    from opensearch_batch.prepare.preparation import prepare

    if partition is None and spec.input.is_partitioned:
        raise CannotKnow("the input has a {partition}: name one (--partition 2026-01-31), and the plan is made")
    here = spec.resolve(partition=partition or "any", run_id="check").override({"dry_run": True})
    plan, _ = prepare(here, "check", f"{here.work_uri.rstrip('/')}/check")
    return str(plan)


def pool_check(pool: str) -> Check:
    return Check(f"pool {pool}", lambda: _pool(pool))


def _pool(pool: str) -> str:
    ran = _airflow("pools", "get", pool, "--output", "json")
    if "does not exist" in ran.stdout + ran.stderr:
        raise SpecError(f"there is none, so submits would stay `scheduled`. Make it: {pool_command(pool)}")
    if ran.returncode:
        raise CannotKnow(f"`airflow pools get {pool}` does not work here: {_last_line(ran)}")
    (found,) = json.loads(ran.stdout)
    if int(found["slots"]) != 1:
        raise SpecError(f"it has {found['slots']} slots, so two tasks may submit at once: {pool_command(pool)}")
    return "has one slot"


def unasked_pool_check(pools: Sequence[str]) -> list[Check]:
    """A task has no way to ask for pools."""
    return [Check(f"pool {pool}", lambda pool=pool: _unasked(pool)) for pool in pools]  # type: ignore[misc]


def _unasked(pool: str) -> str:
    raise CannotKnow(f"a task cannot ask for pools. While there is none submits stay `scheduled`: {pool_command(pool)}")


def triggerer_check() -> Check:
    return Check("triggerer", _triggerer)


def _triggerer() -> str:
    ran = _airflow("jobs", "check", "--job-type", "TriggererJob", "--allow-multiple", "--limit", "0")
    if "No alive jobs found" in ran.stdout + ran.stderr:
        raise SpecError("none is alive, so every wait stands still: start `airflow triggerer`")
    if ran.returncode:
        raise CannotKnow(f"`airflow jobs check` does not work here: {_last_line(ran)}")
    return "alive"


def default_queue() -> str:
    """The queue of a task that names none."""
    return str(conf.get("operators", "default_queue"))


def queues_check(queues: Sequence[str]) -> Check:
    return Check("queues of the triggerer", lambda: _queues(queues))


def _queues(queues: Sequence[str]) -> str:
    """A triggerer's own queues are told nowhere."""
    if not conf.getboolean("triggerer", "queues_enabled", fallback=False):
        return "not in use"
    named = ",".join(queues)
    raise CannotKnow(
        "[triggerer] queues_enabled is on: a triggerer without --queues takes no task's trigger at all, and every wait "
        f"stands still. See that one runs as: airflow triggerer --queues {named}"
    )


def _airflow(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "airflow", *arguments], capture_output=True, text=True, check=False)


def _last_line(ran: subprocess.CompletedProcess[str]) -> str:
    return ((ran.stderr or ran.stdout).strip().splitlines() or [f"exit status {ran.returncode}"])[-1][:300]
