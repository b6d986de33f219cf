"""Of the cluster: does the connection reach it, what may the user, is the connector the wanted one, do settings allow
it. Nothing is made or sent on, and no provider is called.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from opensearch_batch.check.lines import CannotKnow, Check
from opensearch_batch.cluster import ml_commons
from opensearch_batch.cluster.cluster_settings import PATH, read_settings, wrong_settings
from opensearch_batch.cluster.ml_commons import Call
from opensearch_batch.cluster.registration import connectors_like
from opensearch_batch.errors import BatchError, Refused, SpecError

FORBIDDEN = 403
ABSENT = "opensearch-batch-check"
"""An id that no model and no task has: what is allowed answers that it is not found."""

Send = Callable[[Call], Any]


def cluster_checks(conn_id: str, send: Send, wanted: Callable[[], Sequence[dict[str, Any]]]) -> list[Check]:
    """`wanted` makes the body of the spec's connector, then those that serve as well."""
    return [
        Check(f"connection {conn_id}", lambda: _reached(send)),
        Check("the cluster's permissions", lambda: _permitted(send)),
        Check("the connector", lambda: _connector(send, *wanted())),
        Check("the cluster's settings", lambda: _settings(send, wanted()[0])),
    ]


def _reached(send: Send) -> str:
    hits = send(ml_commons.search_open_tasks())
    return f"the cluster answers; it counts {len(hits)} open batch tasks that this user may see"


def _permitted(send: Send) -> str:
    asked = [
        ml_commons.search_connectors(ABSENT),
        ml_commons.search_models(ABSENT),
        ml_commons.get_model(ABSENT),
        ml_commons.get_connector(ABSENT),
        ml_commons.get_task(ABSENT),
        ml_commons.cancel_task(ABSENT),
        ml_commons.batch_predict(ABSENT, {}),
    ]
    refused = [error for call in asked if (error := _forbidden(send, call))]
    if refused:
        raise Refused("\n".join(refused), status=FORBIDDEN)
    return "this user may find connector and model, submit, look and cancel"


def _forbidden(send: Send, call: Call) -> str | None:
    """Any other answer comes from behind the permissions."""
    try:
        send(call)
    except BatchError as error:
        return str(error) if error.status == FORBIDDEN else None
    return None


def _connector(send: Send, body: dict[str, Any], *others: dict[str, Any]) -> str:
    current, stale = connectors_like(send, body, others)
    if current:
        return f"{current} ({body['name']}) is as the spec wants it"
    if stale:
        raise SpecError(
            f"{stale} ({body['name']}) differs from what the spec wants: register under another name "
            "(model.registered_as), or say model.on_change: redeploy. create_connector shows the difference."
        )
    raise CannotKnow(f"{body['name']} is not there; the first run makes it, which needs docs/roles/setup.yml")


def _settings(send: Send, body: dict[str, Any]) -> str:
    try:
        settings = send(read_settings())
    except BatchError as error:
        if error.status != FORBIDDEN:
            raise
        raise CannotKnow(f"this user may not read them, and runs need not; an administrator can: GET {PATH}") from None
    if wrong := wrong_settings(settings, [str(action["url"]) for action in body["actions"]]):
        raise Refused("\n".join(wrong))
    most = settings.get("max_batch_inference_tasks")
    return "they allow batches to the provider" + (f"; at most {most} open batch tasks" if most else "")
