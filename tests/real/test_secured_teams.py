"""Two teams on one secured cluster: what a run may changes while its job is out. The job goes on, and is found."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from airflow.sdk import BaseHook

from opensearch_batch import providers
from opensearch_batch.cluster import ml_commons
from opensearch_batch.errors import Refused
from opensearch_batch.flow.jobs import Job
from opensearch_batch.providers.store import open_store
from opensearch_batch.tasks.wait_trigger import BatchTrigger
from tests.real.provider import Provider
from tests.real.secured import RUNNER, TEAM, Connect, Secured, upload
from tests.real.test_secured_refusals import ROW, job
from tests.sandbox.bench import first_event

__all__ = ["job"]

USERS = "/_plugins/_security/api/internalusers"
ANOTHER = "another_team"


def move_the_group(secured: Secured) -> None:
    [group] = secured.cluster.hits("model_groups")
    share = {"access_mode": "restricted", "backend_roles": [ANOTHER]}
    secured.cluster.ok("PUT", f"/_plugins/_ml/model_groups/{group['_id']}", share)


def change_the_password(secured: Secured) -> None:
    new = {"password": "Changed-not-a-secret-2", "backend_roles": [TEAM]}
    secured.cluster.ok("PUT", f"{USERS}/{RUNNER.name}", new)


def take_the_backend_role(secured: Secured) -> None:
    secured.cluster.ok("PUT", f"{USERS}/{RUNNER.name}", {"hash": RUNNER.hash, "backend_roles": [ANOTHER]})


CHANGES: dict[str, tuple[Callable[[Secured], None], str, str]] = {
    "the group moved": (move_the_group, "You don't have permission to access this batch job", "backend role"),
    "the password changed": (change_the_password, "Unauthorized", "connection's user and password"),
    "a backend role lost": (
        take_the_backend_role,
        "You don't have permission to access this batch job",
        "backend role",
    ),
}


@pytest.fixture(params=CHANGES)
def changed(request: pytest.FixtureRequest, secured: Secured, job: Job) -> Iterator[tuple[str, str]]:  # noqa: F811
    """What a look hears, and what the error names as to be changed."""
    change, heard, named = CHANGES[request.param]
    change(secured)
    yield heard, named
    secured.cluster.ok(
        "PUT", f"{USERS}/{RUNNER.name}", {"hash": RUNNER.hash, "backend_roles": list(RUNNER.backend_roles)}
    )


def test_the_job_goes_on_and_the_next_submission_says_what_to_change(
    changed: tuple[str, str],
    connect: Connect,
    job: Job,  # noqa: F811
    testnet: Provider,
    caplog: pytest.LogCaptureFixture,
) -> None:
    heard, named = changed
    path = f"/v1/batches/{job.provider_job_id}"
    hook = connect(RUNNER)
    with pytest.raises(Refused, match=named):
        hook.send(ml_commons.batch_predict(job.model_id, {"input_file_id": upload(testnet, [ROW])}))
    store = open_store(providers.DEFAULT, BaseHook.get_connection("openai_default"))
    assert job.input_file_id
    assert [found["id"] for found in store.find_jobs(job.input_file_id)] == [job.provider_job_id]
    assert testnet.calls("POST", f"{path}/cancel") == [], "nobody ends it"
    assert len(testnet.ledger()) == 1, "the submission that was refused is none"

    testnet.pace("instant")
    with caplog.at_level(logging.INFO):
        event: dict[str, Any] = first_event(
            BatchTrigger(
                jobs=[job.to_dict()],
                provider=providers.DEFAULT.NAME,
                opensearch_conn_id=RUNNER.name,
                provider_conn_id="openai_default",
                poll_seconds=0.2,
                deadline=1e11,
            )
        )
    [outcome] = event["outcomes"]
    assert (outcome["job"]["provider_job_id"], outcome["state"]) == (job.provider_job_id, "completed")
    assert caplog.text.count(heard) == 1
    assert named in caplog.text
