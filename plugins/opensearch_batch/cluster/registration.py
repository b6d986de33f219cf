"""Connector, model group and model in the cluster: made once, used again, never changed under a live model.

A connector's description holds the hash of the body without the credential; the next run compares the hash with the
hash of the body wanted. ML Commons has no unique names, so two runs may make twins at the same time: after creating,
both runs use the oldest twin, and a run whose own twin is younger removes the younger twin.
"""

from __future__ import annotations

import difflib
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tenacity

from opensearch_batch.cluster import ml_commons
from opensearch_batch.cluster.advice import OTHER_TEAM
from opensearch_batch.cluster.deployment import deploy_all, wait_deployed
from opensearch_batch.cluster.described import Send
from opensearch_batch.cluster.ml_commons import Call, Hit
from opensearch_batch.errors import BatchError, Refused, SpecError, Unavailable

log = logging.getLogger(__name__)

IN_USE = "models are still using this connector"
DEPLOYED = ("DEPLOYED", "PARTIALLY_DEPLOYED", "DEPLOYING")

FORBIDDEN = 403

Note = Callable[[list[str]], None]
"""Keeps the ids of models for the next try: a worker may be killed at any line."""


def not_noted(model_ids: list[str]) -> None:
    """By hand there is no next try."""


def ensure_connector(
    send: Send,
    body: Mapping[str, Any],
    credential: Mapping[str, str],
    *,
    on_change: str,
    renew: bool = False,
    others: Sequence[Mapping[str, Any]] = (),
    note: Note = not_noted,
) -> str:
    """Return the id of the connector with the name and body of `body`, or of one of the `others`, which serve as well;
    create an absent connector.

    A connector with the same name and a different body raises SpecError with a diff, or with `on_change="redeploy"` is
    replaced (replace_connector). `renew` writes `credential` into a connector that exists already, and redeploys the
    connector's models. `note` as in replace_connector. Raise Refused for a user without the right to create
    connectors.
    """

    current, stale = connectors_like(send, body, others)
    if current:
        log.info("connector %s (%s) is as it should be", current, body["name"])
        if renew:
            replace_connector(send, current, {"credential": dict(credential)}, note)
        return current
    if stale is None:
        made = _create_connector(send, body, credential)
        log.info("created connector %s (%s)", made, body["name"])
        twins = [hit for hit in _named_alike(send, body) if _is_current(hit.source, body)]
        return _keep_oldest(send, made, twins, ml_commons.delete_connector(made))
    if on_change != "redeploy":
        raise SpecError(
            f"connector {stale} ({body['name']}) differs from what this run wants, and its model may answer "
            "searches:\n"
            f"{_difference(send(ml_commons.get_connector(stale)), body)}\n"
            'Register under another name, or allow seconds without it with on_change="redeploy".'
        )
    replace_connector(send, stale, {**body, "credential": dict(credential)}, note)
    return stale


def connectors_like(
    send: Send, body: Mapping[str, Any], others: Sequence[Mapping[str, Any]] = ()
) -> tuple[str | None, str | None]:
    """Return the id of the oldest connector with the name of `body` and its body or one of the `others`, else the id of
    the oldest with the name.
    """
    same, wanted = _named_alike(send, body), [body, *others]
    # A search may lag an update by a second, a get never does.
    current = [hit for hit in same if _is_any(hit.source, wanted)] or [
        hit for hit in same if _is_any(send(ml_commons.get_connector(hit.id)), wanted)
    ]
    if current:
        return _oldest(current).id, None
    return None, _oldest(same).id if same else None


def _is_any(document: Mapping[str, Any], bodies: Sequence[Mapping[str, Any]]) -> bool:
    return any(_is_current(document, body) for body in bodies)


def _named_alike(send: Send, body: Mapping[str, Any]) -> list[Hit]:
    return [hit for hit in send(ml_commons.search_connectors(body["name"])) if hit.source.get("name") == body["name"]]


def _is_current(document: Mapping[str, Any], body: Mapping[str, Any]) -> bool:
    return bool(document.get("description") == body["description"])


def _create_connector(send: Send, body: Mapping[str, Any], credential: Mapping[str, str]) -> str:
    try:
        return str(send(ml_commons.create_connector({**body, "credential": dict(credential)})))
    except Refused as error:
        if error.status != FORBIDDEN:
            raise
        raise Refused(
            f"no connector {body['name']!r} is visible to this user, and he may not make one. If it exists, its maker "
            'shares it with a backend role of this user ("backend_roles" in the extra of the connection that sets up). '
            f"{error}",
            status=error.status,
        ) from None


def replace_connector(send: Send, connector_id: str, body: Mapping[str, Any], note: Note = not_noted) -> None:
    """Undeploy the connector's models, update the connector, deploy the models again, whatever fails between.

    `note` is given the ids of the models before the first is undeployed, for the `deploy_left` of another try, and none
    once all is done.

    Searches with the models fail for the seconds between. Raise SpecError where the connector has a parameter that
    `body` lacks: the cluster merges parameters in an update and never takes a parameter away.
    """
    there = send(ml_commons.get_connector(connector_id)).get("parameters") or {}
    if "parameters" in body and (extra := sorted(set(there) - set(body["parameters"]))):
        raise SpecError(
            f"connector {connector_id} has parameters that an update cannot take away: {', '.join(extra)}; "
            "register under another name"
        )
    models = [
        hit.id
        for hit in models_of(send, connector_id)
        if send(ml_commons.get_model(hit.id)).get("model_state") in DEPLOYED
    ]
    note(models)
    undeployed: list[str] = []
    try:
        for model_id in models:
            undeployed.append(model_id)  # before the call: its answer may be lost
            send(ml_commons.undeploy_model(model_id))
        _update_once_free(send, ml_commons.update_connector(connector_id, body))
    finally:
        deploy_all(send, undeployed)
    note([])
    log.info("updated connector %s, redeployed %d models", connector_id, len(models))


def deploy_left(send: Send, model_ids: Sequence[str]) -> None:
    """Deploy those of the models that are not deployed, since a try noted them and came to no end."""
    states = {model_id: send(ml_commons.get_model(model_id)).get("model_state") for model_id in model_ids}
    deploy_all(send, [model_id for model_id, state in states.items() if state not in DEPLOYED])


def _update_once_free(send: Send, update: Call) -> None:
    """Send the update, up to five times a second apart while the cluster counts models as deployed.

    The cluster finds deployed models by a search, and the search may still show models just undeployed.
    """
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(lambda error: isinstance(error, Refused) and IN_USE in str(error)),
        stop=tenacity.stop_after_attempt(5),
        wait=tenacity.wait_fixed(1),
        reraise=True,
    )
    retrying(send, update)


def ensure_group(send: Send, name: str) -> str:
    """Return the id of the model group with this name; register an absent group.

    Raise SpecError for a group that exists and is hidden from the user.
    """

    def find() -> list[Hit]:
        return [hit for hit in send(ml_commons.search_groups(name)) if hit.source.get("name") == name]

    if not (found := find()):
        try:
            made: str = send(ml_commons.register_group(name))
        except Refused as error:
            if "already being used by a model group" not in str(error):
                raise
        else:
            log.info("registered model group %s (%s)", made, name)
            return _keep_oldest(send, made, find(), ml_commons.delete_group(made))
        found = find()
    if not found:
        raise SpecError(f"model group {name!r} exists, but this user may not see it. {OTHER_TEAM}")
    return _oldest(found).id


def ensure_model(
    send: Send, name: str, connector_id: str, group: str, *, deploy: bool, sleep: Callable[[float], None] = time.sleep
) -> str:
    """Return the id of the model with this name on this connector; register an absent model.

    With `deploy` wait until the model is deployed. Raise Refused for a failed registration or deployment, Unavailable
    after a wait of 30 s for the registration or 60 s for the deployment.
    """
    found = [hit for hit in models_of(send, connector_id) if hit.source.get("name") == name]
    made = ""
    if found:
        model_id = _oldest(found).id
        log.info("model %s (%s) is registered", model_id, name)
        state = send(ml_commons.get_model(model_id)).get("model_state")
        if deploy and state not in DEPLOYED:
            send(ml_commons.deploy_model(model_id))
    else:
        group_id = ensure_group(send, group)
        answer = send(ml_commons.register_model(name, connector_id, group_id, deploy=deploy))
        log.info("registered model %s (%s), task %s", answer["model_id"], name, answer["task_id"])
        _follow_task(send, answer["task_id"], sleep)
        made = str(answer["model_id"])
        twins = [hit for hit in models_of(send, connector_id) if hit.source.get("name") == name]
        model_id = _keep_oldest(send, made, twins, ml_commons.undeploy_model(made), ml_commons.delete_model(made))
    if deploy:
        wait_deployed(send, model_id, ours=model_id == made, sleep=sleep)
    return model_id


def models_of(send: Send, connector_id: str) -> list[Hit]:
    """Return the models on the connector, without the search's hits on connectors with similar ids."""
    return [
        hit for hit in send(ml_commons.search_models(connector_id)) if hit.source.get("connector_id") == connector_id
    ]


def _follow_task(
    send: Send, task_id: str, sleep: Callable[[float], None], tries: int = 60, pause_seconds: float = 0.5
) -> None:
    """Wait until a register task is COMPLETED; the model may not be deployed by then.

    Raise Refused for a task that ended otherwise, Unavailable after `tries` looks, `pause_seconds` apart.
    """
    for _ in range(tries):
        task = send(ml_commons.get_task(task_id))
        if task.get("state") == "COMPLETED":
            return
        if task.get("state") not in ("CREATED", "RUNNING"):
            raise Refused(f"task {task_id} ended {task.get('state')}: {task.get('error', 'no reason given')}")
        sleep(pause_seconds)
    raise Unavailable(f"task {task_id} is not done after {tries * pause_seconds:.0f} s")


def _keep_oldest(send: Send, made: str, twins: list[Hit], *removal: Call) -> str:
    """Return the id of the oldest twin that several runs made at once; send `removal` where `made` is younger.

    A failed removal leaves an unused twin, and is only logged.
    """
    first = _oldest(twins).id if twins else made
    if first != made:
        log.info("another run made %s first; removing our %s", first, made)
        try:
            for call in removal:
                send(call)
        except BatchError as error:
            log.warning("%s is left over, and nothing uses it: %s", made, error)
    return first


def _oldest(hits: list[Hit]) -> Hit:
    return min(hits, key=lambda hit: (hit.source.get("created_time", 0), hit.id))


def _difference(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Return a unified diff of the fields that we set; action types in lower case (the cluster shows capitals)."""
    before, after = (
        json.dumps({key: _comparable(side.get(key)) for key in sorted(wanted)}, indent=1, sort_keys=True)
        for side in (there, wanted)
    )
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), "in the cluster", "wanted", lineterm="", n=1)
    return "\n".join(lines)


def _comparable(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    return [{**action, "action_type": str(action.get("action_type", "")).lower()} for action in value]
