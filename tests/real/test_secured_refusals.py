"""What a secured cluster refuses: said once, with what to change, and never tried again."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import certifi
import httpx
import pytest
from airflow.sdk import BaseHook

from opensearch_batch import providers
from opensearch_batch.cluster import ml_commons, registration
from opensearch_batch.cluster.hook import MLCommonsAsyncHook
from opensearch_batch.errors import Refused, SpecError, Terminal, Unavailable
from opensearch_batch.flow.jobs import Job
from opensearch_batch.providers.store import open_store
from opensearch_batch.wait.looking import asker, cancel, drive, look
from tests.real.provider import KEY, Provider
from tests.real.secured import RUNNER, SETUP, STRANGER, Connect, Secured, upload

EMBEDDING = {"model": "text-embedding-3-small", "input": "a"}
ROW = {"custom_id": "1", "method": "POST", "url": "/v1/embeddings", "body": EMBEDDING}
SEARCH = ml_commons.search_tasks({"match_all": {}})


@pytest.fixture
def job(connect: Connect, model_id: str, testnet: Provider) -> Job:
    """Of the runner, and it goes on for as long as a test may take."""
    testnet.pace("clock:600")
    file_id = upload(testnet, [ROW])
    made = connect(RUNNER).send(ml_commons.batch_predict(model_id, {"input_file_id": file_id}))
    return Job("key", 1, made["remote_job"]["id"], file_id, made["task_id"], model_id)


def test_a_starting_cluster_is_unavailable_and_nothing_more(secured: Secured) -> None:
    *before, last = secured.said_at_start
    starting = [error for error in before if error.status is not None]
    assert {type(error) for error in before} == {Unavailable}
    assert {error.status for error in starting} == {httpx.codes.SERVICE_UNAVAILABLE}
    assert all("OpenSearch Security not initialized." in str(error) for error in starting)
    assert isinstance(last, Refused)
    assert last.status == httpx.codes.NOT_FOUND


def test_the_least_role_may_not_even_ask_for_the_version(secured: Secured) -> None:
    with secured.node.client(RUNNER.login) as client:
        answer = client.get("/")
    assert answer.status_code == httpx.codes.FORBIDDEN
    assert "no permissions for [cluster:monitor/main]" in answer.text


def test_a_wrong_password(connect: Connect) -> None:
    with pytest.raises(Refused, match=r"Unauthorized.*connection's user and password") as raised:
        connect(RUNNER, password="wrong").send(SEARCH)
    assert raised.value.status == httpx.codes.UNAUTHORIZED


def test_no_login_at_all(connect: Connect) -> None:
    with pytest.raises(Refused, match=r"Unauthorized.*connection's user and password"):
        connect(RUNNER, login=None, password=None).send(SEARCH)


def test_an_unknown_authority(connect: Connect) -> None:
    with pytest.raises(Terminal, match=r"CERTIFICATE_VERIFY_FAILED.*\"verify\""):
        connect(RUNNER, extra={}).send(SEARCH)


def test_the_connections_authority_goes_before_the_environments(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certifi.where())
    assert connect(RUNNER).send(ml_commons.search_connectors("there-is-none")) == []


def test_an_unknown_authority_in_the_triggerer(connect: Connect) -> None:
    connect(RUNNER, extra={})
    with pytest.raises(Terminal, match=r"CERTIFICATE_VERIFY_FAILED.*\"verify\""):
        asyncio.run(_sent_from_a_trigger(SEARCH))


def test_a_trigger_trusts_the_connections_authority(connect: Connect, model_id: str) -> None:
    connect(RUNNER)
    found = asyncio.run(_sent_from_a_trigger(ml_commons.get_model(model_id)))
    assert found["algorithm"] == "REMOTE"


async def _sent_from_a_trigger(call: ml_commons.Call) -> Any:
    async with MLCommonsAsyncHook(RUNNER.name).sender() as send:
        return await send(call)


def test_plain_http_where_https_is_spoken(connect: Connect) -> None:
    with pytest.raises(Unavailable, match="https"):
        connect(RUNNER, schema="http").send(SEARCH)


def test_the_user_that_prepares_submits_nothing(connect: Connect, model_id: str, testnet: Provider) -> None:
    call = ml_commons.batch_predict(model_id, {"input_file_id": upload(testnet, [ROW])})
    with pytest.raises(Refused, match=r"no permissions for \[cluster:admin/opensearch/ml/predict\]"):
        connect(SETUP).send(call)
    assert testnet.ledger() == []


def test_another_teams_model_takes_no_job(connect: Connect, model_id: str, testnet: Provider) -> None:
    call = ml_commons.batch_predict(model_id, {"input_file_id": upload(testnet, [ROW])})
    with pytest.raises(
        Refused, match=r"doesn't have privilege|Doesn't have privilege|Doesn.t have.*model group"
    ) as raised:
        connect(STRANGER).send(call)
    assert raised.value.status == httpx.codes.FORBIDDEN
    assert testnet.ledger() == []


@pytest.mark.usefixtures("model_id")
def test_another_teams_group_holds_its_name(connect: Connect) -> None:
    with pytest.raises(SpecError, match="exists, but this user may not see it"):
        registration.ensure_group(connect(STRANGER).send, "opensearch-batch")


@pytest.mark.parametrize(("call", "what"), [(ml_commons.get_task, "access"), (ml_commons.cancel_task, "cancel")])
def test_another_teams_task_is_a_500_for_good(
    connect: Connect, job: Job, testnet: Provider, call: Any, what: str
) -> None:
    assert job.task_id
    asked = len(testnet.calls("GET", f"/v1/batches/{job.provider_job_id}"))
    with pytest.raises(Refused, match=f"You don't have permission to {what} this batch job.*model group") as raised:
        connect(STRANGER).send(call(job.task_id))
    assert raised.value.status == httpx.codes.INTERNAL_SERVER_ERROR
    assert len(testnet.calls("GET", f"/v1/batches/{job.provider_job_id}")) == asked
    assert testnet.calls("POST", f"/v1/batches/{job.provider_job_id}/cancel") == []


def test_stored_tasks_are_shown_to_every_user_who_may_search_them(connect: Connect, job: Job) -> None:
    found = {hit.id: hit.source for hit in connect(STRANGER).send(SEARCH)}
    assert found[str(job.task_id)]["remote_job"]["id"] == job.provider_job_id


def test_what_is_made_without_backend_roles_is_its_makers_alone(
    secured: Secured, connect: Connect, testnet: Provider
) -> None:
    alone = connect(SETUP, extra={"verify": str(secured.node.ca)}).send
    body = providers.DEFAULT.connector("alone", EMBEDDING["model"], "/v1/embeddings", {}, f"{testnet.url}/v1")
    connector_id = alone(ml_commons.create_connector({**body, "credential": {"openAI_key": KEY}}))
    try:
        model_id = registration.ensure_model(alone, "alone", connector_id, "alone", deploy=True)
        send = connect(RUNNER).send
        assert send(ml_commons.search_connectors("alone")) == []
        with pytest.raises(Refused, match="doesn.t have privilege|Doesn.t have privilege"):
            send(ml_commons.batch_predict(model_id, {"input_file_id": upload(testnet, [ROW])}))
    finally:
        secured.cluster.forget()


def test_sharing_with_a_team_that_one_is_not_in(connect: Connect, secured: Secured, testnet: Provider) -> None:
    extra = {"verify": str(secured.node.ca), "backend_roles": ["another_team"]}
    body = providers.DEFAULT.connector("theirs", EMBEDDING["model"], "/v1/embeddings", {}, f"{testnet.url}/v1")
    with pytest.raises(Refused, match="You don't have the backend roles specified.*backend_roles"):
        connect(SETUP, extra=extra).send(ml_commons.create_connector({**body, "credential": {"openAI_key": KEY}}))


def test_sharing_where_there_is_no_access_control(secured: Secured, connect: Connect, testnet: Provider) -> None:
    body = providers.DEFAULT.connector("open", EMBEDDING["model"], "/v1/embeddings", {}, f"{testnet.url}/v1")
    secured.cluster.set(connector_access_control_enabled=False)
    try:
        with pytest.raises(Refused, match="You cannot specify connector access control.*connection's extra"):
            connect(SETUP).send(ml_commons.create_connector({**body, "credential": {"openAI_key": KEY}}))
    finally:
        secured.cluster.set(connector_access_control_enabled=None)


def test_a_job_that_the_cluster_may_not_show_is_followed_at_the_provider(
    connect: Connect, job: Job, testnet: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_store(providers.DEFAULT, BaseHook.get_connection("openai_default"))
    ask = asker(connect(STRANGER).send, lambda: store)
    told: set[str] = set()
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            remote = drive(look(job, providers.DEFAULT, told), ask)
        drive(cancel(job, told), ask)
    assert remote is not None
    assert remote.id == job.provider_job_id
    assert testnet.calls("POST", f"/v1/batches/{job.provider_job_id}/cancel") == ["airflow"]
    assert caplog.text.count("You don't have permission to access this batch job") == 1
