"""How our errors meet Airflow's: Terminal fails the task at once, Transient is retried, after the pause the server
asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from airflow.sdk import RetryAction, RetryDecision, RetryPolicy
from airflow.sdk.exceptions import AirflowFailException, AirflowNotFoundException

from opensearch_batch.errors import Terminal, Transient
from opensearch_batch.foreign_errors import without_keys


class RetryAfter(RetryPolicy):
    """Keep the task's own retries and delays, except for errors with the pause a server asked for."""

    def evaluate(self, exception: BaseException, try_number: int, max_tries: int, context: Any = None) -> RetryDecision:
        if isinstance(exception, Transient) and exception.retry_after_seconds and try_number <= max_tries:
            return RetryDecision(
                RetryAction.RETRY, timedelta(seconds=exception.retry_after_seconds), "the server asked to wait"
            )
        return RetryDecision(RetryAction.DEFAULT)

    def serialize(self) -> dict[str, Any]:
        return {}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> RetryAfter:
        return cls()


@contextmanager
def airflow_errors() -> Iterator[None]:
    """Translate Terminal errors and an absent connection, so that Airflow does not retry. No error of the chain that
    Airflow prints shows a key.
    """
    try:
        yield
    except AirflowNotFoundException as error:
        raise AirflowFailException(f"{error}; define it, or name another one in the operator or the spec") from error
    except Terminal as error:
        clean = without_keys(error)
        raise AirflowFailException(f"{type(error).__name__}: {clean}") from clean
    except Exception as error:  # whatever leaves a task is printed, with what it came from
        if (clean := without_keys(error)) is error:
            raise
        raise clean from (clean.__cause__ or (None if clean.__suppress_context__ else clean.__context__))


def patient(arguments: dict[str, Any], **defaults: Any) -> dict[str, Any]:
    """Return our defaults where neither operator nor default_args say otherwise; every task of ours may run twice.

    Airflow fills in Airflow's defaults for `.partial()`: give retries there.
    """
    ours = {"retries": 3, "retry_delay": timedelta(seconds=30), "retry_policy": RetryAfter(), **defaults}
    said = arguments.get("default_args") or {}
    return {name: value for name, value in ours.items() if name not in said} | arguments
