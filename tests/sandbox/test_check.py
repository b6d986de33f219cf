"""The check before the first run: a line each, ok or what to do; nothing is made and nothing is paid."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk import DAG, BaseHook
from airflow.sdk.exceptions import AirflowFailException

from opensearch_batch.check import of_airflow
from opensearch_batch.check.lines import lines
from opensearch_batch.check.of_cluster import cluster_checks
from opensearch_batch.errors import Refused
from opensearch_batch.operators import CheckOperator, CreateConnectorOperator, SubmitBatchOperator
from tests.sandbox.bench import MODEL, Run, Server, rows_of
from tests.sandbox.checking import CHAT, reading, spec

POOL = "opensearch_batch_before"
NO_POOL = f"Pool {POOL} does not exist\n"
ONE_SLOT = json.dumps([{"pool": POOL, "slots": "1", "description": "x", "include_deferred": "False"}])
TWO_SLOTS = ONE_SLOT.replace('"1"', '"2"')
NO_JOB = "No alive jobs found.\n"
"""As Airflow 3.3.2 says it."""
CONTEXT = "_AIRFLOW_PROCESS_CONTEXT"

Airflow = Callable[[str, str], None]


@pytest.fixture(autouse=True)
def airflow(monkeypatch: pytest.MonkeyPatch) -> Airflow:
    """What Airflow's own commands answer, by their first word."""
    said = {"pools": ONE_SLOT, "jobs": "Found one alive job."}

    def answer(*arguments: str) -> subprocess.CompletedProcess[str]:
        text = said[arguments[0]]
        return subprocess.CompletedProcess(arguments, text in (NO_POOL, NO_JOB), text, "")

    monkeypatch.setattr(of_airflow, "_airflow", answer)
    return said.__setitem__


def test_where_all_is_well_the_status_is_0_and_each_line_is_ok(checked: Any, run: Run) -> None:
    status, found = checked("--partition", "2026-01-31")
    assert status == 0
    marks = {what: mark for what, (mark, _) in found.items()}
    assert marks.pop("the connector") == "?", "the first run makes it"
    assert marks == dict.fromkeys(
        [
            "spec", "libraries", "model.parameters", "price", "length of a text", "connection opensearch_default",
            "the cluster's permissions", "the cluster's settings", "connection openai_default", "output.uri",
            "work_uri", "plan", f"pool {POOL}", "triggerer", "queues of the triggerer",
        ],
        "ok",
    )  # fmt: skip
    assert "3 rows in 1 shard" in found["plan"][1]
    assert list(run.out.rglob("*")) == list((run.folder / "work").rglob("*")) == []


def test_a_wrong_spec_is_the_only_line(checked: Any) -> None:
    status, found = checked(limit={})
    assert status == 1
    assert list(found) == ["spec"]
    assert "unknown key 'limit', did you mean 'limits'?" in found["spec"][1]


@pytest.mark.parametrize(
    ("what", "sections", "says"),
    [
        ("model.parameters", {"model": {"name": MODEL, "parameters": {"dimension": 8}}}, "did you mean 'dimensions'?"),
        (
            "model.output_schema",
            {"model": {"name": "gpt-4o", "endpoint": "/v1/chat/completions", "output_schema": {"type": "objekt"}}},
            "model.output_schema is no JSON schema: at $.type",
        ),
        ("price", {"model": {"name": "mine"}, "limits": {"max_cost_usd": 1}}, "set limits.usd_per_million_tokens"),
        (
            "price of stragglers",
            {"model": {"name": "mine"}, "wait": {"finish_by": 8}, "limits": {"max_straggler_usd": 1}},
            "say limits.straggler_usd_per_million_tokens",
        ),
        (
            "model.output_schema",
            {"model": {**CHAT, "output_schema": "s3://nowhere@corpus/label.json"}},
            "Airflow has no connection 'nowhere'",
        ),
        (
            "input.template",
            {"model": CHAT, **reading(template="file:///no/such.j2")},
            "there is no object file:///no/such",
        ),
        ("connection nowhere", {"connections": {"opensearch": "nowhere"}}, "airflow connections add nowhere"),
        ("connection no_key", {"connections": {"provider": "no_key"}}, "airflow connections add no_key"),
        ("plan", {"limits": {"max_cost_usd": 0}}, "max_cost_usd is 0.0, the plan is above it"),
        ("plan", {"input": {"uri": "file:///no/such.jsonl"}}, "no such object"),
        ("output.uri", {"output": {"uri": "none://nowhere"}}, "Is Airflow's provider for it installed"),
        ("work_uri", {"work_uri": "${NO_SUCH_VARIABLE}"}, "environment variable NO_SUCH_VARIABLE is not set"),
    ],
)
def test_what_is_not_ok_says_what_to_do(checked: Any, what: str, sections: Any, says: str) -> None:
    status, found = checked(**sections)
    assert status == 1
    assert found[what][0] == "NOT OK"
    assert says in found[what][1]


def test_the_whole_check_asks_airflows_database_for_a_schemas_connection(
    checked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow asks its database where the process says that it is a server, and the environment alone elsewhere."""
    asked_as: list[str | None] = []
    ask = BaseHook.get_connection

    def heard(conn_id: str) -> Any:
        if conn_id == "only_in_the_database":
            asked_as.append(os.environ.get(CONTEXT))
        return ask(conn_id)

    monkeypatch.setenv(CONTEXT, "")
    monkeypatch.delenv(CONTEXT)
    monkeypatch.setattr(BaseHook, "get_connection", staticmethod(heard))
    checked(model={**CHAT, "output_schema": "s3://only_in_the_database@corpus/label.json"})
    assert len(asked_as) > 1
    assert set(asked_as) == {"server"}


def test_a_key_that_the_provider_does_not_take(checked: Any, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {"conn_type": "http", "host": f"{server.url}/v1", "password": "sk-wrong"}
    monkeypatch.setenv("AIRFLOW_CONN_OPENAI_DEFAULT", json.dumps(wrong))
    status, found = checked()
    assert status == 1
    assert found["connection openai_default"][0] == "NOT OK"
    assert "Check the key" in found["connection openai_default"][1]


def test_without_its_partition_a_partitioned_input_is_not_planned(checked: Any, run: Run) -> None:
    status, found = checked(input={"uri": f"file://{run.folder}/{{partition}}.jsonl"})
    assert status == 0
    assert found["plan"][0] == "?"
    assert "name one (--partition 2026-01-31)" in found["plan"][1]


@pytest.mark.parametrize(("answer", "says"), [(NO_POOL, f"airflow pools set {POOL} 1"), (TWO_SLOTS, "it has 2 slots")])
def test_the_pool(checked: Any, airflow: Airflow, answer: str, says: str) -> None:
    airflow("pools", answer)
    status, found = checked()
    assert status == 1
    assert found[f"pool {POOL}"][0] == "NOT OK"
    assert says in found[f"pool {POOL}"][1]


def test_a_triggerer_that_is_not_there(checked: Any, airflow: Airflow) -> None:
    airflow("jobs", NO_JOB)
    assert checked()[1]["triggerer"][0] == "NOT OK"


def test_with_queues_enabled_the_triggerers_queues_are_to_be_seen_to(
    checked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """[triggerer] queues_enabled without --queues: no task's trigger is taken."""
    monkeypatch.setenv("AIRFLOW__TRIGGERER__QUEUES_ENABLED", "True")
    status, found = checked()
    assert status == 0
    assert found["queues of the triggerer"][0] == "?"
    assert "airflow triggerer --queues default" in found["queues of the triggerer"][1]


def test_the_queue_is_the_one_that_airflow_gives_to_tasks(checked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__TRIGGERER__QUEUES_ENABLED", "True")
    monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_QUEUE", "night")
    assert "airflow triggerer --queues night" in checked()[1]["queues of the triggerer"][1]


def test_a_connector_of_another_body(server: Server, run: Run) -> None:
    operator = CreateConnectorOperator(task_id="connector", spec=spec(run.folder, output={"uri": "file:///out"}))
    run.execute(operator)
    changed = {"model": {"name": MODEL, "parameters": {"dimensions": 16}}, "limits": {}}
    run.write(rows_of(1))
    check = CheckOperator(task_id="check", spec=spec(run.folder, **changed))
    run.conf = {"partition": "2026-01-31"}
    with pytest.raises(AirflowFailException, match="1 of 12 are not ok, see the log: the connector"):
        run.execute(check)


def test_the_operator_returns_the_lines_and_names_the_pools_of_its_dag(server: Server, run: Run) -> None:
    run.write(rows_of(3))
    run.conf = {"partition": "2026-01-31"}
    with DAG("by_hand", schedule=None):
        check = CheckOperator(task_id="check", spec=spec(run.folder))
        check >> SubmitBatchOperator(task_id="submit", model_id="m", pool="mine")
    found = {line["what"]: line for line in run.execute(check)}
    assert found["pool mine"]["mark"] == "?"
    assert "airflow pools set mine 1" in found["pool mine"]["said"]
    assert found["plan"]["mark"] == "ok"
    assert server.ledger == []


KEYWORD = {"type": "keyword"}
ANGLE = {"name": "hnsw", "engine": "lucene", "space_type": "cosinesimil"}


def index(server: Server, method: dict[str, Any], **vectors: list[float]) -> None:
    """Articles by id, with vectors of the spec's model, behind the alias `live`."""
    fields = {
        "text": {"type": "text"},
        "vector": {"type": "knn_vector", "dimension": 8, "method": method},
        "vector_provenance": {"properties": dict.fromkeys(("model", "text_hash", "run"), KEYWORD)},
    }
    body = {"settings": {"index": {"knn": True}}, "mappings": {"properties": fields}, "aliases": {"live": {}}}
    server.ask("PUT", "/articles", body)
    server.ask("PUT", "/articles/_doc/bare?refresh=true", {"text": "a text"})
    of_the_model = {"model": MODEL, "text_hash": "x", "run": "x"}
    for name, vector in vectors.items():
        document = {"text": name, "vector": vector, "vector_provenance": of_the_model}
        server.ask("PUT", f"/articles/_doc/{name}?refresh=true", document)


FILLING = {
    "input": {"uri": "opensearch://opensearch_default/live", "text_field": "text"},
    "write_back": {"vector_field": "vector"},
}


@pytest.mark.parametrize(
    ("space", "numbers", "mark", "says"),
    [
        ("cosinesimil", 3.0, "ok", "'vector' compares by cosinesimil (lucene), which fits every embedding model"),
        ("l2", 1.0, "ok", "the model's vectors have length 1 (1 measured)"),
        ("l2", 3.0, "?", "the model's vectors have lengths from 3 to 3 (1 measured)"),
        ("innerproduct", None, "?", "where all vectors have length 1: not known yet"),
    ],
)  # fmt: skip
def test_the_space_of_an_index_is_held_against_the_lengths_of_its_vectors(
    checked: Any, server: Server, space: str, numbers: float | None, mark: str, says: str
) -> None:
    index(server, {**ANGLE, "space_type": space}, **({"a": [numbers, *[0.0] * 7]} if numbers else {}))
    status, found = checked("--partition", "2026-01-31", **FILLING)
    assert (status, found["space of vector"][0]) == (0, mark)
    assert says in found["space of vector"][1]
    assert found["plan"][0] == "ok"


def test_a_method_for_a_new_index_that_no_server_makes_is_not_ok(checked: Any, server: Server) -> None:
    index(server, ANGLE)
    beside = {"vector_field": "vector", "mode": "beside", "method": {**ANGLE, "space_type": "l1"}}
    status, found = checked("--partition", "2026-01-31", **{**FILLING, "write_back": beside})
    assert (status, found["space of vector"][0]) == (1, "NOT OK")
    assert "lucene compares vectors of floats by cosinesimil, innerproduct, l2, not" in found["space of vector"][1]
    status, found = checked("--partition", "2026-01-31", **{**FILLING, "write_back": {**beside, "method": ANGLE}})
    assert (status, found["space of vector"][0]) == (0, "ok")


def test_a_field_that_is_not_there_is_left_to_the_plan(checked: Any, server: Server) -> None:
    index(server, ANGLE)
    status, found = checked("--partition", "2026-01-31", **{**FILLING, "write_back": {"vector_field": "other"}})
    assert (status, found["space of other"][0], found["plan"][0]) == (1, "?", "NOT OK")


def test_each_permission_that_lacks_is_named(server: Server) -> None:
    """The Security plugin names the permission; what comes from behind it is allowed."""

    def send(call: Any) -> Any:
        if "cancel" in call.path or "_batch_predict" in call.path:
            raise Refused(f"{call.name}: no permissions for it", status=403)
        raise Refused("not found", status=404)

    (line,) = lines([cluster_checks("c", send, list)[1:2]])
    assert line.mark == "NOT OK"
    assert [each.partition(":")[0] for each in line.said.splitlines()] == [
        "cancel task opensearch-batch-check",
        "batch_predict with model opensearch-batch-check",
    ]


def test_settings_that_this_user_may_not_read_are_no_fault(server: Server) -> None:
    def send(call: Any) -> Any:
        raise Refused("no permissions for [cluster:monitor/settings]", status=403)

    (line,) = lines([cluster_checks("c", send, lambda: [{"actions": []}])[3:]])
    assert line.mark == "?"
    assert "an administrator can: GET /_cluster/settings" in line.said
