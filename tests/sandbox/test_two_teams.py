"""What a run may on a secured cluster changes while its job is out, with the words of a real one
(tests/real/test_secured_teams.py): the job goes on, and the next submission says what to change.
"""

from __future__ import annotations

import logging
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from tests.sandbox.bench import Run, Server, rows_of

ALWAYS = -1
NO_PRIVILEGE = "User Doesn't have privilege to perform this operation on this model"
REFUSED = {"type": "status_exception", "reason": NO_PRIVILEGE}
OF_ANOTHER_TEAM: list[dict[str, Any]] = [
    {"name": "security_not_your_job"},
    {
        "name": "answer",
        "path": "_batch_predict$",
        "status": 403,
        "body": {"error": {"root_cause": [REFUSED], **REFUSED}, "status": 403},
    },
]
CHANGES: dict[str, tuple[list[dict[str, Any]], str, str]] = {
    "the group moved, or a backend role lost": (OF_ANOTHER_TEAM, "permission to access this batch job", "backend role"),
    "the password changed": ([{"name": "security_unauthorized"}], "Unauthorized", "connection's user and password"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_job_goes_on_and_the_next_submission_says_what_to_change(
    run: Run, server: Server, caplog: pytest.LogCaptureFixture, change: str
) -> None:
    faults, heard, named = CHANGES[change]
    server.pace("clock:600")
    model_id = server.model()
    jobs = run.submit(model_id, run.prepare(rows_of(3)))
    for fault in faults:
        server.fault(**fault, times=ALWAYS)

    with pytest.raises(AirflowFailException, match=named):
        run.submit(model_id, run.prepare(rows_of(4), task_id="prepare_others"), task_id="submit_others")
    assert [job["id"] for job in server.ledger] == [jobs[0]["provider_job_id"]]

    server.pace("instant")
    with caplog.at_level(logging.INFO):
        [outcome] = run.wait(jobs)
    assert (outcome["job"], outcome["state"]) == (jobs[0], "completed")
    assert caplog.text.count(heard) == 1
    assert named in caplog.text
    assert [call for call in server.calls if call["path"].endswith("cancel")] == [], "nobody ends it"
