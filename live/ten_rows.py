"""Ten rows through the package's own functions: planned and priced, submitted once, timed, waited for, landed."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from live.state import State
from opensearch_batch.cluster.ml_commons import Call
from opensearch_batch.errors import Transient
from opensearch_batch.flow.jobs import Job, RemoteJob, ended, outcome, status_line
from opensearch_batch.flow.shards import Shard
from opensearch_batch.flow.values import Value
from opensearch_batch.land.landing import land
from opensearch_batch.land.manifest import Manifest, files_of, manifest_uri, write_manifest
from opensearch_batch.land.report import Report, sum_up
from opensearch_batch.prepare.plan import Plan
from opensearch_batch.prepare.preparation import prepare
from opensearch_batch.providers.protocol import Provider
from opensearch_batch.providers.store import ProviderStore
from opensearch_batch.spec import BatchSpec
from opensearch_batch.submit.note import noted
from opensearch_batch.submit.settle import LIST_LAG_SECONDS
from opensearch_batch.wait.looking import asker, drive, look

log = logging.getLogger(__name__)

ROWS = 10
TEXT = "Row {} of ten that show how a batch goes through OpenSearch ML Commons and back."
LAG_PAUSE_SECONDS = 1.0


class StillRunning(Exception):
    """The job has not ended within the time given; it goes on."""


class ListLag(Value, frozen=True):
    """Seconds from a submission's answer until the provider's list of jobs showed the new one.

    It was absent from the list asked for at `absent_at` (None: it was there at the first look) and there in the one
    asked for at `seen_at` (None: not within LIST_LAG_SECONDS). After an interruption the look comes late.
    """

    absent_at: float | None
    seen_at: float | None
    interrupted: bool

    def __str__(self) -> str:
        late = ", first looked at after an interruption" if self.interrupted else ""
        if self.seen_at is None:
            return f"not within {LIST_LAG_SECONDS:.0f} s{late}"
        since = "at the first look" if self.absent_at is None else f"not yet after {self.absent_at:.2f} s"
        return f"at most {self.seen_at:.2f} s ({since}{late})"


def make_spec(name: str, model: str, folder: Path, usd_per_million_tokens: float | None) -> BatchSpec:
    """Everything of one name: it is nobody else's, and tells which run made what."""
    return BatchSpec.check(
        {
            "name": name,
            "model": {"name": model, "group": name},
            "input": {"uri": f"file://{folder}/rows.jsonl"},
            "output": {"uri": f"file://{folder}/out"},
            "work_uri": f"file://{folder}/work",
            "limits": {"usd_per_million_tokens": usd_per_million_tokens},
        }
    )


def plan_rows(spec: BatchSpec, folder: Path) -> tuple[Plan, Shard]:
    """Write rows and shard below `folder`, the same for the same spec; nothing is sent."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = (json.dumps({"id": f"live-{n}", "text": TEXT.format(n)}) + "\n" for n in range(1, ROWS + 1))
    (folder / "rows.jsonl").write_text("".join(rows), encoding="utf-8")
    plan, [[shard]] = prepare(spec, spec.name, f"{spec.work_uri}/{spec.name}")
    return plan, shard


def measure_list_lag(store: ProviderStore, job: Job, answered_at: float, *, interrupted: bool) -> ListLag:
    """Ask for the provider's list every second until it shows the job. `answered_at`: epoch seconds."""
    absent_at: float | None = None
    while True:
        asked_at = time.time() - answered_at
        if any(found["id"] == job.provider_job_id for found in store.find_jobs(str(job.input_file_id))):
            return ListLag(absent_at, round(time.time() - answered_at, 2), interrupted)
        absent_at = round(asked_at, 2)
        if asked_at > LIST_LAG_SECONDS:
            return ListLag(absent_at, None, interrupted)
        time.sleep(LAG_PAUSE_SECONDS)


def wait_for(
    job: Job,
    send: Callable[[Call], Any],
    store: ProviderStore,
    provider: Provider,
    *,
    poll_seconds: float,
    timeout_seconds: float,
    told: set[str],
    say: Callable[[str], None],
) -> RemoteJob:
    """Look until the job has ended, in whatever state. Raise StillRunning; a look that fails passingly is said."""
    ask = asker(send, lambda: store)
    began = time.monotonic()
    while True:
        waited = time.monotonic() - began
        try:
            remote = drive(look(job, provider, told), ask)
        except Transient as error:
            say(f"  {waited:6.0f} s  {error}")
        else:
            assert remote is not None
            say(f"  {waited:6.0f} s  {status_line(remote)}")
            if ended(remote):
                return remote
        if waited > timeout_seconds:
            raise StillRunning(f"{job.name} has not ended within {timeout_seconds / 3600:.2g} h")
        time.sleep(poll_seconds)


def land_rows(
    plan: Plan, job: Job, remote: RemoteJob, store: ProviderStore, provider: Provider, spec: BatchSpec
) -> Report:
    landed = land(outcome(job, remote), store, provider, spec.output.uri, plan.run_key)
    report = sum_up(plan, [landed], manifest_uri(spec.output.uri, plan.run_key))
    written_at = datetime.now(UTC).isoformat(timespec="seconds")
    files = files_of([landed])
    manifest = Manifest(version=1, written_at=written_at, spec=spec.to_dict(), report=report, files=files)
    write_manifest(manifest)
    return report


def may_have_been_submitted(state: State, key: str) -> bool:
    note = noted(state, key)
    return note is not None and bool(note.job or note.sent_at)
