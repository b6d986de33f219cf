"""Lines that are made to end a reader: they are unreadable, and the rest of the job lands."""

from __future__ import annotations

from typing import Any

import pytest

from opensearch_batch import providers
from opensearch_batch.errors import UnknownAnswer
from opensearch_batch.flow.answers import Answer
from opensearch_batch.land.reconcile import Failure, Fate, Tally, join

GOOD = {
    "openai": b'{"custom_id":"%b","response":{"status_code":200,"body":{"data":[{"embedding":[1]}]}}}',
    "sagemaker": b'{"id":"%b","SageMakerOutput":[1]}',
    "bedrock": b'{"recordId":"%b","modelOutput":{"embedding":[1]}}',
    "cohere": b'{"id":"%b","embedding":[1]}',
}
PLACES = {
    "openai": [
        b"%b",
        b'{"custom_id":"1","response":{"status_code":200,"body":{"data":[{"embedding":%b}]}}}',
        b'{"custom_id":"1","response":{"status_code":200,"body":{"choices":[{"message":{"content":%b}}]}}}',
        b'{"custom_id":"1","response":{"status_code":400,"body":%b}}',
        b'{"custom_id":"1","error":%b}',
        b'{"custom_id":%b}',
    ],
    "sagemaker": [
        b"%b",
        b'{"id":"1","SageMakerOutput":{"embedding":%b}}',
        b'{"id":"1","SageMakerOutput":{"error":%b}}',
    ],
    "bedrock": [b"%b", b'{"recordId":"1","modelOutput":%b}', b'{"recordId":"1","error":%b}'],
    "cohere": [b"%b", b'{"id":"1","embedding":%b}'],
}
VENDORS = [(provider, place) for provider in providers.PROVIDERS for place in PLACES[provider.NAME]]
LEVELS = (300, 1_000, 100_000)


def landed(provider: Any, *lines: bytes) -> tuple[list[Answer | Failure], Tally]:
    tally = Tally()
    return list(join(["1", "2"], [*lines, GOOD[provider.NAME] % b"2"], provider, Fate(), tally)), tally


@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize(("provider", "place"), VENDORS, ids=lambda given: getattr(given, "NAME", None))
def test_a_line_nested_deeply_costs_its_row_alone(provider: Any, place: bytes, levels: int) -> None:
    for nested in (b"[" * levels + b"1" + b"]" * levels, b'{"a":' * levels + b"1" + b"}" * levels):
        ends, tally = landed(provider, place % nested)
        answered = [end.id for end in ends if isinstance(end, Answer)]
        assert (answered, tally.answered, tally.failed + tally.missing) == (["2"], 1, 1)


@pytest.mark.parametrize("provider", providers.PROVIDERS, ids=lambda provider: provider.NAME)
@pytest.mark.parametrize("name", [b"\\u0000", b"../../1", b"\xff", b"1\\ud800"])
def test_an_id_that_nobody_sent_is_foreign_or_unreadable(provider: Any, name: bytes) -> None:
    ends, tally = landed(provider, GOOD[provider.NAME] % name)
    assert [end.id for end in ends if isinstance(end, Answer)] == ["2"]
    assert (tally.foreign + tally.unreadable, tally.missing) == (1, 1)
    for told in tally.named.get("foreign", []):
        assert "\0" not in told
        told.encode()


@pytest.mark.parametrize("provider", providers.PROVIDERS, ids=lambda provider: provider.NAME)
def test_bytes_that_are_no_text_cost_their_row_alone(provider: Any) -> None:
    for line in (b"\0" * 100, b"\xff\xfe" * 100, GOOD[provider.NAME][:20], b"<html><title>down</title></html>"):
        _, tally = landed(provider, line)
        assert (tally.answered, tally.unreadable, tally.missing) == (1, 1, 1)


def test_a_reader_without_an_end_is_at_fault_and_no_row() -> None:
    class Endless:
        NAME = "endless"

        def read_line(self, raw: bytes) -> Answer:
            return self.read_line(raw)

    provider: Any = Endless()
    with pytest.raises(UnknownAnswer, match="a fault of the reader, not of a row"):
        list(join(["1"], [b'{"id": "1"}'], provider, Fate(), Tally()))
