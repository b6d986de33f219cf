"""The contract: a handful of cheap calls that pin what the package depends on. None of them can start a paid job.

The same behaviour is pinned against the sandbox and real servers by tests/contract.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from live.masking import Mask
from opensearch_batch.cluster import ml_commons
from opensearch_batch.cluster.ml_commons import Call, Hit
from opensearch_batch.cluster.registration import models_of
from opensearch_batch.errors import BatchError
from opensearch_batch.flow.jobs import Job
from opensearch_batch.flow.values import Value
from opensearch_batch.providers.protocol import Provider
from opensearch_batch.providers.store import ProviderStore

Send = Callable[[Call], Any]

ABSENT = "opensearch-batch-live-absent"
"""An id that no task and no model has."""

NO_HANDLER = "no handler found"


class Check(Value, frozen=True):
    """`held` is None for what may be either way: it is noted, not judged."""

    name: str
    held: bool | None
    seen: str


def of_connector(send: Send, mask: Mask, connector_id: str, name: str) -> list[Check]:
    return [
        _judged("a created connector has an id", bool(connector_id), connector_id),
        _asked("the connector never shows its credential", lambda: _keeps_credential(send, mask, connector_id)),
        _asked(
            "a connector is found by its name", lambda: _among(send(ml_commons.search_connectors(name)), connector_id)
        ),
    ]


def of_model(send: Send, model_id: str, connector_id: str) -> list[Check]:
    return [
        _asked("a model is found by its connector", lambda: _among(models_of(send, connector_id), model_id)),
        _refused("an unknown task is 404", send, ml_commons.get_task(ABSENT), 404),
        _refused("an unknown model is 404", send, ml_commons.batch_predict(ABSENT, {"input_file_id": ABSENT}), 404),
        _refused("tasks/<id>/_cancel has a handler", send, ml_commons.cancel_task(ABSENT), None),
    ]


def of_job(send: Send, store: ProviderStore, provider: Provider, job: Job, file_name: str) -> list[Check]:
    checks = [
        _judged("a submission answers with its task and the provider's job", job.task_id is not None, job.name),
        _asked("an upload is found by its name", lambda: _equal(store.find_uploads(file_name).get(file_name), job)),
    ]
    if job.task_id is None:
        return checks
    query = provider.find_query(str(job.input_file_id)) or provider.task_query(job.provider_job_id)
    return [
        *checks,
        _asked(
            "a task is found by its input file",
            lambda: _among(send(ml_commons.search_tasks(query)), str(job.task_id)),
        ),
        _status_read(send, job.task_id),
    ]


def _status_read(send: Send, task_id: str) -> Check:
    """Either way is fine: where the cluster refuses, the job is followed at the provider."""
    name = "the cluster reads a batch task's status"
    try:
        return Check(name, None, f"yes: {send(ml_commons.get_task(task_id)).get('state')}")
    except BatchError as error:
        return Check(name, None, f"no: {error}")


def _keeps_credential(send: Send, mask: Mask, connector_id: str) -> tuple[bool, str]:
    """What the cluster sent, before our own masking."""
    document = send(ml_commons.get_connector(connector_id))
    values = [value for value in (document.get("credential") or {}).values() if value]
    clean = not values and not mask.hides(json.dumps(document))
    return clean, "no credential in the answer" if clean else "the answer holds a credential"


def _among(hits: list[Hit], wanted: str) -> tuple[bool, str]:
    ids = [hit.id for hit in hits]
    return wanted in ids, f"{len(ids)} found, {'it is' if wanted in ids else 'it is not'} among them"


def _equal(file_id: str | None, job: Job) -> tuple[bool, str]:
    return file_id == job.input_file_id, f"found {file_id}, submitted {job.input_file_id}"


def _judged(name: str, held: bool, seen: str) -> Check:
    return Check(name, held, seen)


def _asked(name: str, ask: Callable[[], tuple[bool, str]]) -> Check:
    try:
        return Check(name, *ask())
    except BatchError as error:
        return Check(name, False, str(error))


def _refused(name: str, send: Send, call: Call, status: int | None) -> Check:
    """It must be refused: with this status, or with any but for want of a handler."""
    try:
        send(call)
    except BatchError as error:
        as_expected = error.status == status if status else error.status is not None and NO_HANDLER not in str(error)
        return Check(name, as_expected, str(error))
    return Check(name, False, "it was not refused")
