"""A secured cluster and its people: two roles of docs/roles, another team, and what it said while it was starting."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from opensearch_batch.cluster import ml_commons
from opensearch_batch.cluster.hook import MLCommonsHook
from opensearch_batch.errors import BatchError, Transient
from opensearch_batch.spec import BatchSpec
from opensearch_batch.tasks.model import CreateConnectorOperator, RegisterModelOperator
from stack.airflow import CHECKOUT
from stack.home import free_port
from stack.opensearch.node import Node
from stack.opensearch.security import User, secured_node
from stack.processes import Part
from tests.real.cluster import Cluster
from tests.real.provider import KEY, Provider
from tests.sandbox.bench import StateStore

ROLES_API = "/_plugins/_security/api/roles"
PREFIX = "cluster:admin/opensearch/ml/"
TEAM = "batch_team"
SPEC = CHECKOUT / "dags" / "specs" / "embed_stdlib_docs.yaml"


def role(name: str) -> tuple[str, list[str]]:
    """Its name and its permissions, from docs/roles."""
    read = yaml.safe_load((CHECKOUT / "docs" / "roles" / f"{name}.yml").read_text())
    [(full_name, body)] = read.items()
    assert body.keys() == {"cluster_permissions"}
    return full_name, body["cluster_permissions"]


RUNNER_ROLE, SETUP_ROLE = role("runner")[0], role("setup")[0]
SETUP = User(
    "setup",
    "Setup-not-a-secret-1",
    "$2b$04$zRokWqNd2fNmpLP3.p.aR.ZYu2DSxkCYm0SqNSTDdJJ8EHZiCJTA2",
    roles=(SETUP_ROLE,),
    backend_roles=(TEAM,),
)
RUNNER = User(
    "runner",
    "Runner-not-a-secret-1",
    "$2b$04$XREDHBZnhOPFu7uZ9ni/DeDlPpDp8oAz2La2HYCxOarVQ9rJFdi8y",
    roles=(RUNNER_ROLE,),
    backend_roles=(TEAM,),
)
STRANGER = User(
    "stranger",
    "Other-not-a-secret-1",
    "$2b$04$.SYiY1SID.Z/en7WcL73Euz7aRdIP2pERYCHvXfI6SwcjnlFb7Ttu",
    roles=(RUNNER_ROLE, SETUP_ROLE),
    backend_roles=("another_team",),
)


@dataclass(frozen=True)
class Secured:
    """``said_at_start``: what the package made of its answers, from the start of the process to the first real one."""

    node: Node
    cluster: Cluster
    said_at_start: list[BatchError]

    def allow(self, role_name: str, permissions: list[str]) -> None:
        """From the next call on."""
        self.cluster.ok("PUT", f"{ROLES_API}/{role_name}", {"cluster_permissions": permissions})


def connection(node: Node, user: User, **fields: Any) -> str:
    """As a person enters it; ``fields`` go over what is right."""
    extra = {"verify": str(node.ca), **({"backend_roles": [TEAM]} if user is SETUP else {})}
    named = {"login": user.name, "password": user.password, "schema": "https", "extra": extra}
    return json.dumps({"conn_type": "http", "host": node.address, "port": node.http_port, **named, **fields})


Connect = Callable[..., MLCommonsHook]


@pytest.fixture(scope="session")
def secured(real: None) -> Iterator[Secured]:
    # Not in pytest's own folder: whoever starts pytest next closes that to other users, the node's among them.
    with tempfile.TemporaryDirectory(prefix="opensearch-secured-") as home:
        yield from _running(Path(home))


def _running(home: Path) -> Iterator[Secured]:
    roles = {name: {"cluster_permissions": permissions} for name, permissions in (role("runner"), role("setup"))}
    node = secured_node(home, free_port(), free_port(), [SETUP, RUNNER, STRANGER], roles)
    try:
        node.launch()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AIRFLOW_CONN_STARTING", connection(node, RUNNER))
            assert node.part is not None
            said = _said_until_it_answers(node.part, "starting")
        node.wait_until_ready()
        with node.client() as client:
            yield Secured(node, Cluster(node, client), said)
    finally:
        node.stop()


def _said_until_it_answers(part: Part, conn_id: str) -> list[BatchError]:
    said: list[BatchError] = []

    def has_answered() -> bool:
        try:
            MLCommonsHook(conn_id).send(ml_commons.get_task("there-is-none"))
        except BatchError as error:
            said.append(error)
            return not isinstance(error, Transient)
        return False

    part.wait_until(has_answered, "does not answer", pause_seconds=0.05)
    return said


@pytest.fixture
def connect(secured: Secured, monkeypatch: pytest.MonkeyPatch) -> Connect:
    """A hook on a connection of this user; the connection's id is the user's name."""

    def made(user: User, **fields: Any) -> MLCommonsHook:
        monkeypatch.setenv(f"AIRFLOW_CONN_{user.name.upper()}", connection(secured.node, user, **fields))
        return MLCommonsHook(user.name)

    return made


@pytest.fixture
def testnet(providers: dict[str, Provider], monkeypatch: pytest.MonkeyPatch) -> Provider:
    """As new, at an address that a cluster takes for public."""
    provider = providers["testnet"]
    provider.reset()
    connection = {"conn_type": "openai", "host": f"{provider.url}/v1", "password": KEY}
    monkeypatch.setenv("AIRFLOW_CONN_OPENAI_DEFAULT", json.dumps({**connection, "extra": {"allow_plain_http": True}}))
    return provider


def upload(provider: Provider, lines: list[dict[str, Any]]) -> str:
    """The id of a new input file at the provider."""
    content = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    answer = httpx.post(
        f"{provider.url}/v1/files",
        files={"file": ("input.jsonl", content)},
        data={"purpose": "batch"},
        headers={"Authorization": f"Bearer {KEY}"},
        trust_env=False,
    )
    return str(answer.raise_for_status().json()["id"])


@pytest.fixture
def model_id(secured: Secured, connect: Connect, testnet: Provider) -> Iterator[str]:
    """Of the demo's spec, made by the setup user with the operators, and shared with the team."""
    connect(SETUP)
    by: dict[str, Any] = {"spec": BatchSpec.load(SPEC).to_dict(), "opensearch_conn_id": SETUP.name}
    context: Any = {"task_state_store": StateStore()}
    connector_id = CreateConnectorOperator(task_id="create_connector", **by).execute(context)
    yield RegisterModelOperator(task_id="register_model", connector_id=connector_id, **by).execute({})
    secured.cluster.forget()
