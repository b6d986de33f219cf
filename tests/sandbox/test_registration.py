"""Connector and model: made once, used again, never changed under a live model unless that was asked for."""

from __future__ import annotations

import copy
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from opensearch_batch.errors import Unavailable
from opensearch_batch.operators import CreateConnectorOperator, RegisterModelOperator
from tests.sandbox.bench import KEY, ML, Run, Server

HEADERS = {"Authorization": "Bearer ${credential.openAI_key}"}
# As printed on https://docs.opensearch.org/latest/ml-commons-plugin/api/model-apis/batch-predict/
DOCS_PAGE: dict[str, Any] = {
    "name": "OpenAI Embedding model",
    "description": "OpenAI embedding model for testing offline batch",
    "version": "1",
    "protocol": "http",
    "parameters": {
        "model": "text-embedding-ada-002",
        "input_file_id": "<your input file id in OpenAI>",
        "endpoint": "/v1/embeddings",
    },
    "credential": {"openAI_key": "<your openAI key>"},
    "actions": [
        {
            "action_type": "predict",
            "method": "POST",
            "url": "https://api.openai.com/v1/embeddings",
            "headers": HEADERS,
            "request_body": '{ "input": ${parameters.input}, "model": "${parameters.model}" }',
            "pre_process_function": "connector.pre_process.openai.embedding",
            "post_process_function": "connector.post_process.openai.embedding",
        },
        {
            "action_type": "batch_predict",
            "method": "POST",
            "url": "https://api.openai.com/v1/batches",
            "headers": HEADERS,
            "request_body": '{ "input_file_id": "${parameters.input_file_id}", "endpoint": "${parameters.endpoint}", '
            '"completion_window": "24h" }',
        },
        {
            "action_type": "batch_predict_status",
            "method": "GET",
            "url": "https://api.openai.com/v1/batches/${parameters.id}",
            "headers": HEADERS,
        },
        {
            "action_type": "cancel_batch_predict",
            "method": "POST",
            "url": "https://api.openai.com/v1/batches/${parameters.id}/cancel",
            "headers": HEADERS,
        },
    ],
}
SPEC = {
    "name": "articles",
    "model": {"name": "text-embedding-3-small", "parameters": {"dimensions": 8}},
    "input": {"uri": "file:///in.jsonl"},
    "output": {"uri": "file:///out"},
}


def connector(**settings: Any) -> CreateConnectorOperator:
    body = {} if "spec" in settings else {"body": DOCS_PAGE, "base_url_from": "openai_default"}
    return CreateConnectorOperator(task_id="connector", **(body | settings))


def model(connector_id: str, **settings: Any) -> RegisterModelOperator:
    return RegisterModelOperator(task_id="model", connector_id=connector_id, **({"name": "m"} | settings))


def changed(**parameters: str) -> dict[str, Any]:
    body = copy.deepcopy(DOCS_PAGE)
    body["parameters"] |= parameters
    return body


def states(server: Server) -> list[str]:
    return [found["model_state"] for found in server.found("models")]


def writes(server: Server) -> list[str]:
    """What was asked of the cluster that changes it."""
    return [
        f"{call['method']} {call['path']}"
        for call in server.calls
        if call["path"].startswith(ML) and call["method"] != "GET" and not call["path"].endswith("_search")
    ]


def test_created_a_hundred_times_there_is_one(server: Server, run: Run) -> None:
    ids = {run.execute(connector()) for _ in range(100)}
    assert [found["_id"] for found in server.found("connectors")] == list(ids)
    assert len(ids) == 1


def test_several_at_once_leave_one(server: Server, tmp_path: Path) -> None:
    """All of them look before the first one creates."""
    server.fault("delay", path="connectors/_create", seconds=0.5, times=-1)
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda n: Run(tmp_path, f"run-{n}").execute(connector()), range(8)))
    assert [found["_id"] for found in server.found("connectors")] == [ids[0]]
    assert set(ids) == {ids[0]}


def test_the_docs_pages_body_is_pointed_at_the_connections_server(server: Server, run: Run) -> None:
    made = server.ask("GET", f"{ML}/connectors/{run.execute(connector())}")
    assert {action["url"].split("/v1/")[0] for action in made["actions"]} == {server.url}
    assert made["name"] == "OpenAI Embedding model"
    assert made["description"].startswith("OpenAI embedding model for testing offline batch (body sha256: ")
    assert made["parameters"]["endpoint"] == "/v1/embeddings"


def test_a_body_may_be_a_file(server: Server, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "connector.json"
    path.write_text(json.dumps(DOCS_PAGE))
    assert run.execute(connector(body=str(path))) == run.execute(connector())


def test_a_specs_short_form_answers_online_and_in_batch(server: Server, run: Run) -> None:
    connector_id = run.execute(connector(spec=SPEC))
    model_id = run.execute(model(connector_id, spec=SPEC, name=""))
    answer = server.ask("POST", f"{ML}/models/{model_id}/_predict", {"parameters": {"input": ["hello"]}})
    (embedding,) = answer["inference_results"][0]["output"]
    assert embedding["shape"] == [8]


def test_a_changed_body_is_an_error_that_shows_the_difference(server: Server, run: Run) -> None:
    connector_id = run.execute(connector())
    run.execute(model(connector_id))
    before = writes(server)
    with pytest.raises(AirflowFailException) as caught:
        run.execute(connector(body=changed(model="text-embedding-3-large")))
    said = str(caught.value)
    assert connector_id in said
    assert '-  "model": "text-embedding-ada-002"' in said
    assert '+  "model": "text-embedding-3-large"' in said
    assert "action_type" not in said, "actions did not change"
    assert 'on_change="redeploy"' in said
    assert KEY not in said
    assert writes(server) == before, "a live model is not disturbed"
    assert states(server) == ["DEPLOYED"]


def test_on_change_redeploy_updates_the_connector_and_its_model(server: Server, run: Run) -> None:
    connector_id = run.execute(connector())
    model_id = run.execute(model(connector_id))
    other = changed(model="text-embedding-3-large")
    assert run.execute(connector(body=other, on_change="redeploy")) == connector_id
    assert server.ask("GET", f"{ML}/connectors/{connector_id}")["parameters"]["model"] == "text-embedding-3-large"
    assert states(server) == ["DEPLOYED"]
    assert run.execute(connector(body=other)) == connector_id
    assert run.execute(model(connector_id)) == model_id


def test_a_model_that_a_try_could_not_deploy_again_is_deployed_by_the_next(server: Server, run: Run) -> None:
    """The connector is as it should be by then: only the task's memory tells."""
    connector_id = run.execute(connector())
    run.execute(model(connector_id))
    redeploying = connector(body=changed(model="text-embedding-3-large"), on_change="redeploy")
    server.fault("answer", path="/_deploy$", status=503, body="busy", times=-1)
    with pytest.raises(Unavailable):
        run.execute(redeploying)
    assert states(server) == ["UNDEPLOYED"]
    server.no_more_faults()
    assert run.execute(redeploying) == connector_id
    assert states(server) == ["DEPLOYED"]


def test_a_model_that_somebody_undeploys_later_stays_so(server: Server, run: Run) -> None:
    connector_id = run.execute(connector())
    model_id = run.execute(model(connector_id))
    redeploying = connector(body=changed(model="text-embedding-3-large"), on_change="redeploy")
    run.execute(redeploying)
    server.ask("POST", f"{ML}/models/{model_id}/_undeploy")
    run.execute(redeploying)
    assert states(server) == ["UNDEPLOYED"]


def test_rotating_writes_the_new_key(server: Server, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    connector_id = run.execute(connector())
    model_id = run.execute(model(connector_id))
    provider = {"conn_type": "openai", "host": f"{server.url}/v1", "password": "sk-sandbox-rotated"}
    monkeypatch.setenv("AIRFLOW_CONN_OPENAI_DEFAULT", json.dumps(provider))
    ask = {"parameters": {"input": ["x"]}}

    def key_sent() -> str:
        server.ask("POST", f"{ML}/models/{model_id}/_predict", ask)
        sent = [call for call in server.calls if call["path"] == "/v1/embeddings"]
        return str(sent[-1]["headers"]["authorization"])

    run.execute(connector())
    assert key_sent() == f"Bearer {KEY}", "a new key is not noticed by itself"
    assert run.execute(connector(rotate_credential=True)) == connector_id
    assert key_sent() == "Bearer sk-sandbox-rotated"
    assert states(server) == ["DEPLOYED"]
    assert len(server.found("connectors")) == 1


def test_registering_twice_is_one_model_of_version_1_in_a_named_group(server: Server, run: Run) -> None:
    connector_id = run.execute(connector())
    ids = {run.execute(model(connector_id, model_group="search team")) for _ in range(3)}
    (found,) = server.found("models")
    assert ids == {found["_id"]}
    assert (found["model_version"], found["model_state"]) == ("1", "DEPLOYED")
    (group,) = server.found("model_groups")
    assert (group["name"], group["_id"]) == ("search team", found["model_group_id"])


def test_several_registering_at_once_leave_one(server: Server, run: Run, tmp_path: Path) -> None:
    connector_id = run.execute(connector())
    server.fault("delay", path="models/_register", seconds=0.5, times=-1)
    server.fault("delay", path="model_groups/_register", seconds=0.2, times=-1)
    with ThreadPoolExecutor(3) as pool:
        ids = list(pool.map(lambda n: Run(tmp_path, f"run-{n}").execute(model(connector_id)), range(3)))
    (found,) = server.found("models")
    assert set(ids) == {found["_id"]}
    assert found["model_state"] == "DEPLOYED"


def test_another_name_or_connector_is_another_model(server: Server, run: Run) -> None:
    first = run.execute(connector())
    second = run.execute(connector(body=DOCS_PAGE | {"name": "Another"}))
    ids = [run.execute(model(first)), run.execute(model(first, name="n")), run.execute(model(second))]
    assert len(set(ids)) == 3
    assert len(server.found("models")) == 3


def test_an_undeployed_model_is_deployed_again(server: Server, run: Run) -> None:
    connector_id = run.execute(connector())
    model_id = run.execute(model(connector_id))
    server.ask("POST", f"{ML}/models/{model_id}/_undeploy")
    assert run.execute(model(connector_id)) == model_id
    assert states(server) == ["DEPLOYED"]


def test_a_partly_deployed_model_is_deployed_once_more_with_a_warning(
    server: Server, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    server.fault("deploy_partial")
    assert run.execute(model(run.execute(connector())))
    assert states(server) == ["DEPLOYED"]
    assert "was PARTIALLY_DEPLOYED, so it was deployed once more" in caplog.text


def test_a_body_without_timeouts_gets_a_warning(
    server: Server, run: Run, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    run.execute(connector())
    seen = capfd.readouterr()
    assert "has no whole client_config" in caplog.text + seen.out + seen.err


def test_neither_body_nor_spec_is_refused(run: Run) -> None:
    with pytest.raises(AirflowFailException, match="needs body= or spec="):
        run.execute(CreateConnectorOperator(task_id="connector"))
