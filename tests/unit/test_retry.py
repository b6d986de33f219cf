"""How our errors meet Airflow's retries. The one unit module that imports airflow.sdk: that is what it is about."""

from __future__ import annotations

from datetime import timedelta

import pytest
from airflow.sdk import RetryAction
from airflow.sdk.exceptions import AirflowFailException

from opensearch_batch.errors import BatchError, OutcomeUnknown, Refused, SpecError, Throttled, Unavailable
from opensearch_batch.tasks.errors import RetryAfter, airflow_errors, patient


@pytest.mark.parametrize("kind", [Throttled, Unavailable, OutcomeUnknown])
def test_the_pause_a_server_asked_for_is_kept(kind: type[BatchError]) -> None:
    decision = RetryAfter().evaluate(kind("later", retry_after_seconds=7), 1, 3)
    assert (decision.action, decision.retry_delay) == (RetryAction.RETRY, timedelta(seconds=7))


@pytest.mark.parametrize(
    ("error", "try_number"),
    [
        (Throttled("later"), 1),
        (Throttled("later", retry_after_seconds=7), 4),
        (ValueError("odd"), 1),
        (Refused("no", retry_after_seconds=7), 1),
    ],
    ids=["no pause", "no try left", "not ours", "not to be repeated"],
)
def test_everything_else_is_left_to_the_tasks_own_retries(error: Exception, try_number: int) -> None:
    assert RetryAfter().evaluate(error, try_number, 3).action == RetryAction.DEFAULT


def test_the_policy_goes_through_serialization() -> None:
    assert isinstance(RetryAfter.deserialize(RetryAfter().serialize()), RetryAfter)


@pytest.mark.parametrize("kind", [Refused, SpecError])
def test_a_terminal_error_fails_the_task_for_good_and_keeps_its_words(kind: type[BatchError]) -> None:
    with pytest.raises(AirflowFailException, match=rf"^{kind.__name__}: what to do$") as caught, airflow_errors():
        raise kind("what to do")
    assert isinstance(caught.value.__cause__, kind)


def test_a_transient_error_is_left_to_be_retried() -> None:
    error = Unavailable("down")
    with pytest.raises(Unavailable) as caught, airflow_errors():
        raise error
    assert caught.value is error


def test_a_dags_own_settings_win_over_ours() -> None:
    assert patient({"retries": 0})["retries"] == 0
    assert patient({})["retries"] == 3
    assert isinstance(patient({"task_id": "t"})["retry_policy"], RetryAfter)
