"""The cluster's limit of open batch tasks: find counted tasks whose jobs have ended, and free the tasks' places.

The cluster learns of a job's end only by a look at the job (from 2.19 on also once a minute, unasked, a hundred jobs at
a time). A task whose looks fail stays RUNNING for ever and cannot be deleted, so the task keeps a place. Source:
checkMaxBatchJobTask in
https://github.com/opensearch-project/ml-commons/blob/2.19.6.0/plugin/src/main/java/org/opensearch/ml/task/MLTaskManager.java
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from opensearch_batch.cluster import ml_commons
from opensearch_batch.cluster.ml_commons import COUNTED_STATES, Call, Hit
from opensearch_batch.errors import BatchError, TaskLimit, Terminal
from opensearch_batch.flow.jobs import ended
from opensearch_batch.providers.protocol import Provider
from opensearch_batch.providers.store import ProviderStore
from opensearch_batch.wait.looking import read_task

log = logging.getLogger(__name__)

MOST_LOOKS = 20
"""The limit bites at ten tasks or fewer, because the cluster's own count stops there."""

NOT_FOUND = 404


@dataclass(frozen=True)
class CountedTasks:
    """The tasks that the cluster counts; each entry of `freed`, `ended` and `unknown` names a task and its job."""

    counted: int
    freed: tuple[str, ...] = ()
    ended: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    why_not: str = ""

    @property
    def none_comes_free(self) -> bool:
        """Whether every counted job has ended and the cluster cannot see that: a person has to make room. A job that is
        not to be found may run with another key.
        """
        return 0 < self.counted == len(self.ended)

    def __str__(self) -> str:
        if self.why_not:
            return f"The counted tasks could not be listed: {self.why_not}"
        parts = [f"Counted tasks: {self.counted}."]
        if self.freed:
            parts.append(f"Ended, and looked at, which gives their place back: {', '.join(self.freed)}.")
        if self.ended:
            parts.append(f"Ended at the provider, but counted until the cluster sees it: {', '.join(self.ended)}.")
        if self.unknown:
            parts.append(f"Not to be found with this connection's key: {', '.join(self.unknown)}.")
        if not (self.freed or self.ended or self.unknown):
            parts.append("None of their jobs is known to have ended.")
        return " ".join(parts)

    def refusal(self, name: str, error: TaskLimit) -> TaskLimit:
        """Return the cluster's error with the name of what was to be submitted, and these tasks."""
        seconds = error.retry_after_seconds
        return TaskLimit(f"{name}: {error} {self}", status=error.status, retry_after_seconds=seconds)


def free_ended_tasks(send: Callable[[Call], Any], store: ProviderStore, provider: Provider) -> CountedTasks:
    """Look up each counted task's job at the provider, and have the cluster look at tasks whose jobs have ended.

    Running jobs are left alone. Raises no error of the cluster or the provider.
    """
    try:
        hits: list[Hit] = send(ml_commons.search_open_tasks())
    except BatchError as error:
        return CountedTasks(0, why_not=str(error))
    found: dict[str, list[str]] = {"freed": [], "ended": [], "unknown": []}
    for hit in hits[:MOST_LOOKS]:
        try:
            kind, name = _kind_of(send, store, provider, hit)
        except BatchError as error:
            log.info("task %s is left out: %s", hit.id, error)
        else:
            found.get(kind, []).append(name)
    return CountedTasks(len(hits), tuple(found["freed"]), tuple(found["ended"]), tuple(found["unknown"]))


def _kind_of(send: Callable[[Call], Any], store: ProviderStore, provider: Provider, hit: Hit) -> tuple[str, str]:
    """freed, ended, unknown or running, and the task's name."""
    job_id = read_task(hit.source, provider).id
    try:
        remote = provider.read_job(store.get_job(job_id))
    except BatchError as error:
        if error.status != NOT_FOUND:
            raise
        return "unknown", f"task {hit.id} (job {job_id})"
    if not ended(remote):
        return "running", hit.id
    return "freed" if _sees_the_end(send, hit.id) else "ended", f"task {hit.id} (job {job_id}, {remote.status})"


def _sees_the_end(send: Callable[[Call], Any], task_id: str) -> bool:
    """Have the cluster look once; the cluster may be unable to look, or not know the provider's word for the end. Raise
    Transient where a later look may see the end.
    """
    try:
        return send(ml_commons.get_task(task_id)).get("state") not in COUNTED_STATES
    except Terminal as error:
        log.info("the cluster cannot see that task %s has ended: %s", task_id, error)
        return False
