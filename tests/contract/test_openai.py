"""The OpenAI face through the official client."""

from __future__ import annotations

import base64
import json
import struct
from typing import TYPE_CHECKING, Any

import openai
import pytest

from tests.contract.cluster import jsonl, row, rows

if TYPE_CHECKING:
    from tests.contract.cluster import Cluster
    from tests.contract.conftest import Provider


def test_a_batch_is_answered_row_by_row_in_an_order_of_its_own(provider: Provider) -> None:
    batch = provider.end(provider.start(rows(600), metadata={"key": "v"}))
    assert batch.status == "completed"
    assert batch.request_counts is not None
    assert batch.request_counts.to_dict() == {"total": 600, "completed": 600, "failed": 0}
    assert batch.metadata == {"key": "v"}
    assert batch.model == "text-embedding-3-small"
    assert batch.error_file_id is None
    assert batch.usage is not None
    assert batch.usage.total_tokens == batch.usage.input_tokens > 600
    stamps = [batch.created_at, batch.in_progress_at, batch.finalizing_at, batch.completed_at]
    assert None not in stamps
    found = [json.loads(line) for line in provider.lines(batch.output_file_id)]
    ids = [line["custom_id"] for line in found]
    assert sorted(ids) == sorted(f"row-{index}" for index in range(600))
    assert ids != [f"row-{index}" for index in range(600)]
    assert set(found[0]) == {"id", "custom_id", "response", "error"}
    assert found[0]["error"] is None
    assert found[0]["response"]["status_code"] == 200
    assert len(found[0]["response"]["body"]["data"][0]["embedding"]) == 256


def test_a_batch_answers_as_the_endpoint_does(provider: Provider) -> None:
    batch = provider.end(provider.start([row("one", "the quick brown fox")]))
    (line,) = provider.lines(batch.output_file_id)
    online = provider.api.embeddings.create(
        model="text-embedding-3-small", input="the quick brown fox", encoding_format="float"
    )
    in_batch = json.loads(line)["response"]["body"]
    assert in_batch["data"][0]["embedding"] == pytest.approx(online.data[0].embedding, abs=1e-6)
    assert in_batch["usage"] == online.usage.to_dict()


def test_bad_rows_go_to_the_error_file_and_harm_no_other(provider: Provider) -> None:
    batch = provider.end(provider.start([row("good", "text"), row("empty", ""), row("wide", "text", dimensions=257)]))
    assert batch.status == "completed"
    assert [json.loads(line)["custom_id"] for line in provider.lines(batch.output_file_id)] == ["good"]
    failed = {item["custom_id"]: item for item in map(json.loads, provider.lines(batch.error_file_id))}
    assert set(failed) == {"empty", "wide"}
    wide = failed["wide"]["response"]
    assert (wide["status_code"], wide["body"]["error"]["param"]) == (400, "dimensions")


def test_an_unknown_model_fails_every_row_and_leaves_no_output_file(provider: Provider) -> None:
    batch = provider.end(provider.start(rows(3, model="text-embedding-9")))
    assert (batch.status, batch.output_file_id) == ("completed", None)
    codes = [json.loads(line)["response"]["body"]["error"]["code"] for line in provider.lines(batch.error_file_id)]
    assert codes == ["model_not_found"] * 3


BAD_FILES = {
    "empty_file": b"",
    "invalid_json_line": jsonl(rows(1)) + b'{"custom_id": \n',
    "duplicate_custom_id": jsonl([row("a", "x"), row("a", "y")]),
    "missing_required_parameter": jsonl([row("a", "x"), {"method": "POST", "url": "/v1/embeddings", "body": {}}]),
    "invalid_url": jsonl([row("a", "x"), row("b", "x") | {"url": "/v1/responses"}]),
    "mismatched_model": jsonl([row("a", "x"), row("b", "x", model="text-embedding-3-large")]),
}


@pytest.mark.parametrize("code", BAD_FILES)
def test_a_malformed_file_fails_the_batch_with_its_line(provider: Provider, code: str) -> None:
    file_id = provider.upload_bytes(BAD_FILES[code])
    created = provider.api.batches.create(input_file_id=file_id, endpoint="/v1/embeddings", completion_window="24h")
    assert created.status == "validating"
    batch = provider.end(created.id)
    assert (batch.status, batch.output_file_id, batch.error_file_id) == ("failed", None, None)
    assert batch.errors is not None
    assert batch.errors.data is not None
    assert batch.errors.data[0].code == code
    assert batch.errors.data[0].line == (None if code == "empty_file" else 2)


def test_chat_and_responses_say_that_they_are_a_stand_in(provider: Provider) -> None:
    chat = provider.api.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "Hello"}])
    assert "stand-in" in str(chat.choices[0].message.content)
    assert "stand-in" in provider.api.responses.create(model="gpt-4o-mini", input="Hello").output_text


def test_embeddings_can_be_shorter_and_packed(provider: Provider) -> None:
    asked: dict[str, Any] = {"model": "text-embedding-3-small", "input": ["one", "two"], "dimensions": 64}
    plain = provider.api.embeddings.create(**asked, encoding_format="float")
    packed = provider.api.embeddings.with_raw_response.create(**asked, encoding_format="base64").http_response.json()
    raw = base64.b64decode(packed["data"][1]["embedding"])
    assert list(struct.unpack("<64f", raw)) == pytest.approx(plain.data[1].embedding, abs=1e-6)
    assert sum(value * value for value in plain.data[1].embedding) == pytest.approx(1, abs=1e-5)


def test_models_are_listed(provider: Provider) -> None:
    assert "text-embedding-3-small" in [model.id for model in provider.api.models.list()]
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        provider.api.models.retrieve("gpt-nope")


def test_files_are_listed_by_purpose_page_by_page_and_deleted(provider: Provider) -> None:
    ids = [provider.upload(rows(1)) for _ in range(3)]
    assert [file.id for file in provider.api.files.list(purpose="batch", limit=2)] == ids[::-1]
    assert provider.api.files.list(purpose="batch", limit=2, after=ids[1]).data[0].id == ids[0]
    assert [file.id for file in provider.api.files.list(order="asc")] == ids
    assert provider.api.files.list(purpose="vision").data == []
    assert provider.api.files.delete(ids[0]).deleted
    with pytest.raises(openai.NotFoundError, match="No such File object"):
        provider.api.files.retrieve(ids[0])


def test_batches_are_listed_newest_first(provider: Provider) -> None:
    ids = [provider.start(rows(1)) for _ in range(3)]
    assert [batch.id for batch in provider.api.batches.list(limit=2)] == ids[::-1]
    assert [batch.id for batch in provider.api.batches.list(limit=1, after=ids[2]).data] == [ids[1]]


def test_content_comes_back_as_it_went_with_its_length(provider: Provider) -> None:
    content = jsonl(rows(3000))
    file_id = provider.upload_bytes(content)
    with provider.api.files.with_streaming_response.content(file_id) as response:
        assert int(response.headers["content-length"]) == len(content)
        assert b"".join(response.iter_bytes()) == content


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"input_file_id": "file-unknown"}, "input_file_id"),
        ({"endpoint": "/v1/nonsense"}, "endpoint"),
        ({"completion_window": "48h"}, "completion_window"),
        ({"metadata": {"key": 1}}, "metadata.key"),
    ],
)
def test_a_wrong_request_makes_no_batch(provider: Provider, changes: dict[str, Any], param: str) -> None:
    right = {"input_file_id": provider.upload(rows(1)), "endpoint": "/v1/embeddings", "completion_window": "24h"}
    with pytest.raises(openai.BadRequestError) as caught:
        provider.api.post("/batches", body=right | changes, cast_to=object)
    assert caught.value.param == param
    assert provider.api.batches.list().data == []


def test_cancelling_leaves_what_was_done(cluster: Cluster, provider: Provider) -> None:
    cluster.ok("POST", "/_sandbox/pace", {"pace": "polls:1"})
    batch_id = provider.start(rows(5))
    assert provider.api.batches.cancel(batch_id).status == "cancelling"
    batch = provider.end(batch_id)
    assert batch.status == "cancelled"
    assert batch.cancelled_at is not None
    with pytest.raises(openai.ConflictError, match="Cannot cancel a batch with status 'cancelled'"):
        provider.api.batches.cancel(batch_id)


@pytest.mark.parametrize("key", ["", "sk-wrong-key-1234"])
def test_a_wrong_key_is_refused(provider: Provider, key: str) -> None:
    headers: dict[str, Any] = {"Authorization": f"Bearer {key}" if key else openai.Omit()}
    with pytest.raises(openai.AuthenticationError) as caught:
        provider.api.files.list(extra_headers=headers)
    assert (caught.value.code, caught.value.type, caught.value.param) == (
        "invalid_api_key",
        "invalid_request_error",
        None,
    )


def test_what_is_not_served_says_so(provider: Provider) -> None:
    with pytest.raises(openai.APIStatusError, match="does not serve POST /v1/images/generations") as caught:
        provider.api.images.generate(prompt="a cat")
    assert caught.value.status_code == 501
