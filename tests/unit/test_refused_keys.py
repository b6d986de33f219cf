"""A key refused during a wait: final only after some minutes and several looks, by the caller's clock."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest
from botocore.exceptions import ClientError

from opensearch_batch import providers
from opensearch_batch.errors import BatchError, Refused, Unavailable
from opensearch_batch.flow.jobs import Job
from opensearch_batch.providers.aws.session import from_aws
from opensearch_batch.wait.job_list import AskJobList
from opensearch_batch.wait.looking import Ask, AskProvider
from opensearch_batch.wait.refusals import LOOKS, STANDS_SECONDS, Refusals, is_refused_key
from opensearch_batch.wait.waiting import Wait

ADVICE = "HTTP 401. Check the key in the provider's connection."
KEY = Refused(ADVICE, status=401)
JOB = Job("batch-k", 1, "batch_0", "file-0", "task-0", "model-1")


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_must_stand_for_minutes_and_looks(status: int) -> None:
    refusals, error = Refusals(), Refused("no", status=status)
    looks = [refusals.is_final("a", error, now) for now in (0.0, 1.0, 2.0, STANDS_SECONDS - 1, STANDS_SECONDS)]
    assert looks == [False, False, False, False, True]
    late = Refusals()
    assert [late.is_final("a", error, at * STANDS_SECONDS) for at in range(LOOKS)] == [False, False, True]


def test_an_answer_ends_the_row_of_refusals() -> None:
    refusals = Refusals()
    assert not refusals.is_final("a", KEY, 0.0)
    refusals.answered("a")
    assert not any(refusals.is_final("a", KEY, STANDS_SECONDS + n) for n in range(LOOKS))


def test_another_error_is_final_at_once() -> None:
    assert Refusals().is_final("a", Refused("gone", status=404), 0.0)


def test_the_notes_outlive_the_process() -> None:
    first = Refusals()
    for _ in range(LOOKS):
        assert not first.is_final("a", KEY, 0.0)
    assert Refusals(json.loads(json.dumps(first.noted()))).is_final("a", KEY, STANDS_SECONDS)


def waiting(errors: list[BatchError]) -> tuple[Wait, list[tuple[int, str]]]:
    """The cluster does not answer; the provider answers when its errors are used up."""
    said: list[tuple[int, str]] = []

    async def ask(step: Ask | AskJobList) -> Any:
        if not isinstance(step, AskProvider):
            raise Unavailable("the cluster is away")
        if errors:
            raise errors.pop(0)
        return {"id": "batch_0", "status": "completed", "output_file_id": "file-1"}

    return Wait([JOB], providers.DEFAULT, ask, lambda level, text: said.append((level, text))), said


def test_a_wait_goes_on_while_a_key_is_replaced() -> None:
    wait, said = waiting([KEY, Refused("denied", status=403), KEY])
    for now in (0.0, 200.0, 299.0):
        asyncio.run(wait.look(now, 0.0))
        assert wait.outcomes is None
    asyncio.run(wait.look(600.0, 0.0))
    assert [each.state for each in wait.outcomes or []] == ["completed"]
    assert [text for level, text in said if level == logging.WARNING] == [
        f"{JOB.name}: the key is refused; the next look reads the connection anew, and only a refusal that stands for "
        f"5 minutes and 3 looks ends the wait: {ADVICE}"
    ]


def test_a_refusal_that_stands_ends_the_wait_with_the_advice() -> None:
    wait, _ = waiting([KEY] * LOOKS)
    for now in (0.0, 200.0):
        asyncio.run(wait.look(now, 0.0))
    with pytest.raises(Refused, match="Check the key in the provider's connection"):
        asyncio.run(wait.look(STANDS_SECONDS, 0.0))


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("UnrecognizedClientException", 400),
        ("InvalidClientTokenId", 403),
        ("InvalidAccessKeyId", 403),
        ("SignatureDoesNotMatch", 403),
        ("AccessDeniedException", 400),
    ],
)
def test_aws_tells_of_a_refused_key_in_codes(code: str, status: int) -> None:
    def refuse() -> None:
        answer: Any = {"Error": {"Code": code, "Message": "No."}, "ResponseMetadata": {"HTTPStatusCode": status}}
        raise ClientError(answer, "DescribeTransformJob")

    with pytest.raises(Refused) as refused:
        from_aws(refuse, "get job")
    assert is_refused_key(refused.value)
