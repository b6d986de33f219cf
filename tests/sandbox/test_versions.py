"""A cluster of another version: the same flow, because the answer decides."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from opensearch_batch.cluster import ml_commons
from opensearch_batch.cluster.hook import MLCommonsAsyncHook, MLCommonsHook
from opensearch_batch.errors import NoRoute, Refused
from opensearch_batch.operators import CancelBatchOperator
from tests.sandbox.bench import Run, Server, rows_of


def no_handler(path: str) -> dict[str, Any]:
    return {"error": f"no handler found for uri [{path}] and method [POST]"}


@pytest.fixture
def job(server: Server, model_id: str, run: Run) -> dict[str, Any]:
    """It runs until it is cancelled, on a cluster that does not know the path `_cancel`."""
    server.pace("polls:1000")
    (job,) = run.submit(model_id, run.prepare(rows_of(2)))
    path = f"/_plugins/_ml/tasks/{job['task_id']}/_cancel"
    server.fault("answer", path="_cancel$", status=400, body=no_handler(path), times=-1)
    return dict(job)


def cancels(server: Server) -> list[str]:
    return [call["path"].rpartition("/")[2] for call in server.calls if "cancel" in call["path"]]


def test_a_cluster_that_calls_it_cancel_batch(server: Server, run: Run, job: dict[str, Any]) -> None:
    server.fault("answer", path="_cancel_batch$", status=200, body={"status": "OK"})
    run.execute(CancelBatchOperator(task_id="cancel", jobs=[job]))
    assert cancels(server) == ["_cancel", "_cancel_batch"]


def test_a_trigger_finds_the_other_name_too(server: Server, job: dict[str, Any]) -> None:
    server.fault("answer", path="_cancel_batch$", status=200, body={"status": "OK"})

    async def cancel() -> Any:
        async with MLCommonsAsyncHook().sender() as send:
            return await send(ml_commons.cancel_task(job["task_id"]))

    assert asyncio.run(cancel()) == {"status": "OK"}
    assert cancels(server) == ["_cancel", "_cancel_batch"]


def test_a_cluster_that_knows_neither_name_leaves_it_to_the_provider(
    server: Server, run: Run, job: dict[str, Any]
) -> None:
    server.fault("answer", path="_cancel_batch$", status=400, body=no_handler("_cancel_batch"), times=-1)
    with pytest.raises(NoRoute):
        MLCommonsHook().send(ml_commons.cancel_task(job["task_id"]))
    run.execute(CancelBatchOperator(task_id="cancel", jobs=[job]))
    assert cancels(server) == ["_cancel", "_cancel_batch"] * 2 + ["cancel"]


def test_a_cluster_without_batch_actions_names_the_version(server: Server, run: Run) -> None:
    """2.15 and 2.16, whose words for an action they do not know are those of every version."""
    body: dict[str, Any] = {"name": "c", "version": "1", "protocol": "http", "credential": {"key": "sk-not-a-secret"}}
    reason = "No enum constant org.opensearch.ml.common.connector.ConnectorAction.ActionType.BATCH_PREDICT_STATUS"
    said = {"type": "illegal_argument_exception", "reason": reason}
    server.fault("answer", path="connectors/_create", status=400, body={"error": {"root_cause": [said], **said}})
    with pytest.raises(Refused, match=r"older than 2\.17.*upgrade it to 2\.17\.1 or later"):
        MLCommonsHook().send(ml_commons.create_connector(body))
