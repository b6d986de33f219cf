"""What signs a URL, taken out of the words of others."""

from __future__ import annotations

import json
import time

import pytest

from opensearch_batch import providers
from opensearch_batch.land.reconcile import Failure, Fate, Tally, join
from opensearch_batch.providers.openai.output import read_line
from opensearch_batch.unsigned import unsigned

SECRET = "not-a-real-signature"
URL = f"https://bucket.example/a.jpg?X-Amz-Date=1&X-Amz-Signature={SECRET}"


@pytest.mark.parametrize(
    ("said", "left"),
    [
        (f"Error while downloading {URL}.", "Error while downloading https://bucket.example/a.jpg?***"),
        (f"got '{URL}', again", "got 'https://bucket.example/a.jpg?*** again"),
        (json.dumps({"url": URL}), '{"url": "https://bucket.example/a.jpg?***"}'),
        (json.dumps({"url": URL}).replace("&", "\\u0026").replace("=", "\\u003d"), '{"url": "https://bucket.example/a.jpg?***"}'),
        (f"HTTP://a.example?{SECRET}", "HTTP://a.example?***"),
        (f"https://me:{SECRET}@a.example/b c", "https://***@a.example/b c"),
        (f"https://me:{SECRET}@a.example?x={SECRET}", "https://***@a.example?***"),
        (f"{URL}&amp;x={SECRET} <{URL}>", "https://bucket.example/a.jpg?*** <https://bucket.example/a.jpg?***>"),
        (f"https://a.example/?u=https%3A%2F%2Fb%2F%3Fs%3D{SECRET}", "https://a.example/?***"),
        (f"https://a.example/1,https://me:{SECRET}@b.example/2,", "https://a.example/1,https://***@b.example/2,"),
        (f"https://a.example/1,http://b.example/2?{SECRET},https://c.example", "https://a.example/1,http://b.example/2?***"),
        (f"https:\\/\\/me:{SECRET}@a.example\\/b?x={SECRET}", "https:\\/\\/***@a.example\\/b?***"),
        (f"https%3A%2F%2Fme%3A{SECRET}%40a.example%2Fb%3Fx%3D{SECRET}", "https%3A%2F%2F***@a.example%2Fb%3F***"),
        ("Invalid data:image/png;base64,iVBORw0KGgo= here", "Invalid data:image/png;base64,*** here"),
        (f"exceeded with url: /a.jpg?X-Amz-Signature={SECRET} (Caused", "exceeded with url: /a.jpg?*** (Caused"),
        (f"GET bucket.example/a.jpg?sig={SECRET}&n=1", "GET bucket.example/a.jpg?***"),
        (f"path=/a.jpg?sig={SECRET},url=https://b.example/c", "path=/a.jpg?***"),
        (f"%2Fa.jpg%3Fsig%3D{SECRET}", "%2Fa.jpg%3F***"),
        (f"/a.jpg?sig\\u003d{SECRET}", "/a.jpg?***"),
    ],
)  # fmt: skip
def test_queries_logins_and_contents_are_taken_out(said: str, left: str) -> None:
    assert unsigned(said) == left
    assert SECRET not in unsigned(said)


@pytest.mark.parametrize(
    "said",
    [
        "",
        "Is it at fault? See https://help.example/errors#keys?",
        "a@b.example wrote: see https://help.example/a/b.html.",
        "s3://bucket/key and data:image/png;base64",
        "is a=b right? yes/no? 50%",
    ],
)
def test_other_words_stay(said: str) -> None:
    assert unsigned(said) == said


@pytest.mark.parametrize(
    "response",
    [
        {"status_code": 400, "body": {"error": {"message": f"Error while downloading {URL}.", "code": "x"}}},
        {"status_code": 400, "body": {"detail": f"cannot fetch {URL}"}},
        {"status_code": 400, "body": [f"cannot fetch {URL}"]},
    ],
)  # fmt: skip
def test_a_vendors_words_about_a_row_have_no_signature(response: dict[str, object]) -> None:
    answer = read_line(json.dumps({"custom_id": "a", "response": response}).encode())
    assert "https://bucket.example/a.jpg?***" in answer.message
    assert SECRET not in answer.message


def test_a_models_own_words_lose_the_signature_where_they_land() -> None:
    refusal = {"choices": [{"message": {"content": None, "refusal": f"I cannot open {URL}"}}]}
    line = {"custom_id": "a", "response": {"status_code": 200, "body": refusal}}
    (row,) = join(["a"], [json.dumps(line).encode()], providers.DEFAULT, Fate(), Tally())
    assert row == Failure("a", "no_output", "I cannot open https://bucket.example/a.jpg?***")


def test_a_long_word_takes_no_longer_than_its_length() -> None:
    began = time.process_time()
    assert unsigned("http://" + "a" * 500_000) == "http://" + "a" * 500_000
    assert unsigned("http://" * 100_000) == "http://" * 100_000
    assert unsigned("?a" * 250_000) == "?a" * 250_000
    assert unsigned("data:" * 100_000 + ";base64,") == "data:" * 100_000 + ";base64,"
    assert time.process_time() - began < 2
