"""docs/roles, line by line: without it one thing is refused, by name and for good; with it that works."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest

from opensearch_batch import providers
from opensearch_batch.cluster import deployment, ml_commons, registration
from opensearch_batch.cluster.hook import MLCommonsHook
from opensearch_batch.errors import Refused
from opensearch_batch.submit import settle
from tests.real.provider import KEY, Provider
from tests.real.secured import PREFIX, RUNNER, SETUP, Connect, Secured, connection, role, upload

GROUP = "opensearch-batch"
MODEL = "text-embedding-3-small"
ROW = {"custom_id": "1", "method": "POST", "url": "/v1/embeddings", "body": {"model": MODEL, "input": "a"}}


@dataclass(frozen=True)
class Scene:
    """A user's way to the cluster, and what the setup user has made there."""

    send: Callable[[ml_commons.Call], Any]
    connector_id: str
    model_id: str
    file_id: str
    provider_url: str

    def body(self, name: str) -> dict[str, Any]:
        made = providers.DEFAULT.connector(name, MODEL, "/v1/embeddings", {}, f"{self.provider_url}/v1")
        return {**made, "description": name}

    def ensure_connector(self, name: str) -> str:
        return registration.ensure_connector(self.send, self.body(name), {"openAI_key": KEY}, on_change="error")

    def ensure_model(self, name: str, *, deploy: bool = True) -> str:
        return registration.ensure_model(self.send, name, self.connector_id, GROUP, deploy=deploy)

    def task_id(self) -> str:
        """Of a new batch job."""
        answer = self.send(ml_commons.batch_predict(self.model_id, {"input_file_id": self.file_id}))
        return str(answer["task_id"])


def new() -> str:
    return f"new-{uuid.uuid4().hex[:8]}"


Act = Callable[[], Any]


def of_a_job(call: Callable[[str], ml_commons.Call]) -> Callable[[Scene], Act]:
    def arrange(scene: Scene) -> Act:
        task_id = scene.task_id()
        return lambda: scene.send(call(task_id))

    return arrange


def delete_a_connector(scene: Scene) -> Act:
    """Ids that share a part between hyphens are taken for one another: then a model of another connector is in the way,
    and the call was let in all the same.
    """
    made = scene.ensure_connector(new())

    def act() -> None:
        try:
            scene.send(ml_commons.delete_connector(made))
        except Refused as error:
            if registration.IN_USE not in str(error):
                raise

    return act


def delete_a_group(scene: Scene) -> Act:
    made = registration.ensure_group(scene.send, new())
    return lambda: scene.send(ml_commons.delete_group(made))


def deploy_a_model(scene: Scene) -> Act:
    name = new()
    scene.ensure_model(name, deploy=False)
    return lambda: scene.ensure_model(name)


def delete_a_model(scene: Scene) -> Act:
    made = scene.ensure_model(new(), deploy=False)
    return lambda: scene.send(ml_commons.delete_model(made))


def redeploy(scene: Scene) -> Act:
    """All deployed models are of this connector, so none can be taken for one of another."""
    return lambda: registration.replace_connector(scene.send, scene.connector_id, {"credential": {"openAI_key": KEY}})


def find_the_connector(scene: Scene) -> Act:
    return lambda: scene.ensure_connector("shared")


RUNS: dict[str, Callable[[Scene], Act]] = {
    "connectors/search": find_the_connector,
    "connectors/get": lambda scene: lambda: settle.connector_of(scene.send, scene.model_id),
    "models/search": lambda scene: lambda: registration.models_of(scene.send, scene.connector_id),
    "models/get": lambda scene: lambda: deployment.wait_deployed(scene.send, scene.model_id),
    "predict": lambda scene: scene.task_id,
    "tasks/search": lambda scene: lambda: scene.send(ml_commons.search_tasks({"match_all": {}})),
    "tasks/get": of_a_job(ml_commons.get_task),
    "tasks/cancel": of_a_job(ml_commons.cancel_task),
}
SETS_UP: dict[str, Callable[[Scene], Act]] = {
    "connectors/search": find_the_connector,
    "connectors/get": redeploy,
    "create_connector": lambda scene: lambda: scene.ensure_connector(new()),
    "connectors/update": redeploy,
    "connectors/delete": delete_a_connector,
    "model_groups/search": lambda scene: lambda: registration.ensure_group(scene.send, GROUP),
    "register_model_group": lambda scene: lambda: registration.ensure_group(scene.send, new()),
    "model_groups/delete": delete_a_group,
    "models/search": lambda scene: lambda: registration.models_of(scene.send, scene.connector_id),
    "models/get": lambda scene: lambda: deployment.wait_deployed(scene.send, scene.model_id),
    "register_model": lambda scene: lambda: scene.ensure_model(new()),
    "tasks/get": lambda scene: lambda: scene.ensure_model(new()),
    "deploy_model": deploy_a_model,
    "undeploy_models": redeploy,
    "undeploy_model": redeploy,
    "models/delete": delete_a_model,
}
NEEDS = {"runner": (RUNNER, RUNS), "setup": (SETUP, SETS_UP)}


@pytest.mark.parametrize("name", NEEDS)
def test_a_role_has_the_permissions_that_are_needed_and_no_other(name: str) -> None:
    _, permissions = role(name)
    assert [permission.removeprefix(PREFIX) for permission in permissions] == list(NEEDS[name][1])


@pytest.fixture(scope="module")
def shared(secured: Secured, providers: dict[str, Provider]) -> Iterator[Scene]:
    """Made once by the setup user; no test here takes it away."""
    provider = providers["testnet"]
    provider.reset()
    provider.pace("clock:600")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_SETUP", connection(secured.node, SETUP))
        send = MLCommonsHook("setup").send
        scene = Scene(send, "", "", upload(provider, [ROW]), provider.url)
        scene = replace(scene, connector_id=scene.ensure_connector("shared"))
        yield replace(scene, model_id=scene.ensure_model("shared"))
    secured.cluster.forget()


@pytest.mark.parametrize(
    ("name", "permission"), [(name, permission) for name, (_, needs) in NEEDS.items() for permission in needs]
)
def test_each_permission_is_needed_and_its_refusal_names_it(
    secured: Secured, shared: Scene, connect: Connect, name: str, permission: str
) -> None:
    user, needs = NEEDS[name]
    full_name, permissions = role(name)
    act = needs[permission](replace(shared, send=connect(user).send))
    lacking = f"no permissions for [{PREFIX}{permission}] and User [name={name}"
    try:
        secured.allow(full_name, [given for given in permissions if given != PREFIX + permission])
        with pytest.raises(Refused, match=f"{re.escape(lacking)}.*- {re.escape(PREFIX + permission)}") as raised:
            act()
    finally:
        secured.allow(full_name, permissions)
    assert raised.value.status == httpx.codes.FORBIDDEN
    act()
