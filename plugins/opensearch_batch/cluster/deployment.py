"""Deployment of a model: waited for, and repeated where it fails or never begins."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from opensearch_batch.cluster import ml_commons
from opensearch_batch.cluster.described import Send
from opensearch_batch.errors import BatchError, Unavailable

log = logging.getLogger(__name__)

IDLE = ("REGISTERED", "UNDEPLOYED", "PARTIALLY_DEPLOYED")
HEAL_AT = (4, 14, 24)
"""Numbers of looks at an idle model after which the model is deployed once more; only the first number counts for a
model made by a different run.
"""

REPEATED_AT = (1, 6, 14)
"""Looks at a failed deployment after which the deployment is repeated."""
FAILED_LOOKS = 20
"""Most looks at a failed deployment."""

USED_AS_IT_IS_AFTER = 10
"""Further looks, after the last number of HEAL_AT, until a model deployed on some nodes only is used as found."""


def wait_deployed(
    send: Send,
    model_id: str,
    *,
    ours: bool = False,
    tries: int = 120,
    pause_seconds: float = 0.5,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Wait until the model is DEPLOYED: at most `tries` looks, `pause_seconds` apart.

    Raise Unavailable after the last look, or for a deployment that stays failed; the error quotes the cluster's reason.

    A failed deployment is repeated, three times in seven seconds: a node that has just started fails the first
    deployments ("Fetching master key timed out."). The model is undeployed before: a node keeps a failed deployment as
    one under way, and replies "Duplicate deploy model task" to every further request until `_undeploy`
    (MLModelCacheHelper.initModelState of ml-commons 2.19 to 3.6; tests/real/test_outage.py). A failed model serves
    nobody.
    A model that stays idle for the looks of HEAL_AT is deployed once more: either a node of several could not load the
    model, or the deployment requested with the registration never began (the cluster starts the deployment after the
    reply, and only logs a failure). A PARTIALLY_DEPLOYED model made by this run (`ours`) is undeployed first too. A
    model that stays PARTIALLY_DEPLOYED serves all the same, and is used with a warning.
    """
    heal_at = HEAL_AT if ours else HEAL_AT[:1]
    idle, failed, again = 0, 0, _Again()
    for _ in range(tries):
        state = send(ml_commons.get_model(model_id)).get("model_state")
        if state == "DEPLOYED":
            return
        failed += state == "DEPLOY_FAILED"
        if state == "DEPLOY_FAILED" and failed in REPEATED_AT:
            again = _deploy_again(send, model_id, state, undeploy=True)
        if failed > FAILED_LOOKS:
            raise Unavailable(
                f"model {model_id} failed to deploy, also when repeated: {_reason(send, again)}. A later try deploys "
                "the model once more; the cluster's log says more."
            )
        idle += state in IDLE
        if state in IDLE and idle in heal_at:
            again = _deploy_again(send, model_id, state, undeploy=ours and state == "PARTIALLY_DEPLOYED")
        if state == "PARTIALLY_DEPLOYED" and idle >= heal_at[-1] + USED_AS_IT_IS_AFTER:
            log.warning(
                "model %s is deployed on some nodes only, and is used as it is. To heal it (searches fail meanwhile): "
                "POST %s, then POST %s",
                model_id,
                ml_commons.undeploy_model(model_id).path,
                ml_commons.deploy_model(model_id).path,
            )
            return
        sleep(pause_seconds)
    raise Unavailable(f"model {model_id} is still {state} after {tries * pause_seconds:.0f} s. {again.error}".rstrip())


def deploy_all(send: Send, model_ids: Iterable[str]) -> None:
    """Deploy each model, and wait for it. One that fails keeps no other from it; the first error is raised last."""
    failed: BatchError | None = None
    for model_id in model_ids:
        try:
            send(ml_commons.deploy_model(model_id))
            wait_deployed(send, model_id)
        except BatchError as error:
            log.warning("model %s was undeployed, and could not be deployed again: %s", model_id, error)
            failed = failed or error
    if failed:
        raise failed


class _Again(NamedTuple):
    """A repeated deployment: the id of its task, or the error of a request that failed."""

    task_id: str = ""
    error: str = ""


def _deploy_again(send: Send, model_id: str, state: str, *, undeploy: bool) -> _Again:
    """Deploy the model once more. A refused `_undeploy` is only logged: `_deploy` may succeed without."""
    if undeploy:
        try:
            send(ml_commons.undeploy_model(model_id))
        except BatchError as error:
            log.warning("model %s is %s, and undeploying it failed: %s", model_id, state, error)
    try:
        reply = send(ml_commons.deploy_model(model_id))
    except BatchError as error:
        log.warning("model %s is %s, and deploying it once more failed: %s", model_id, state, error)
        return _Again(error=str(error))
    log.warning("model %s was %s, so it was deployed once more", model_id, state)
    return _Again(task_id=reply.get("task_id", ""))


def _reason(send: Send, again: _Again) -> str:
    """Return the cluster's reason for a failed deployment, or where to look for the reason."""
    if not again.task_id:
        return again.error or "no reason given"
    task = ml_commons.get_task(again.task_id)
    try:
        return str(send(task).get("error") or f"no reason in {task.path}")
    except BatchError as error:
        return f"{task.path} could not be read ({error})"
