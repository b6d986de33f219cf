"""The OpenAI provider: the connector's body, request lines, and how jobs and answers are read."""

from __future__ import annotations

import base64
import json
import re
from array import array
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from msgspec.structs import replace

from opensearch_batch import providers
from opensearch_batch.errors import SpecError, Unavailable, UnknownAnswer
from opensearch_batch.flow.answers import Answer, Usage
from opensearch_batch.land.vectors import is_vector
from opensearch_batch.providers.openai import provider as openai
from opensearch_batch.providers.protocol import UnreadableLine

URL = "http://127.0.0.1:9/v1"
CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"


def actions(endpoint: str, **parameters: Any) -> dict[str, dict[str, Any]]:
    body = openai.connector("articles", "some-model", endpoint, parameters, URL)
    return {action["action_type"]: action for action in body["actions"]}


@pytest.mark.parametrize("endpoint", openai.ENDPOINTS)
def test_a_connector_has_the_four_actions_with_one_key_and_bounds(endpoint: str) -> None:
    body = openai.connector("articles", "some-model", endpoint, {}, URL)
    assert (body["name"], body["version"], body["protocol"]) == ("articles", "1", "http")
    assert body["parameters"] == {"model": "some-model", "batch_endpoint": endpoint}
    assert body["client_config"] == {"connection_timeout": 30, "read_timeout": 60, "max_retry_times": 0}
    assert "credential" not in body
    found = {action["action_type"]: (action["method"], action["url"]) for action in body["actions"]}
    assert found == {
        "predict": ("POST", URL + endpoint.removeprefix("/v1")),
        "batch_predict": ("POST", f"{URL}/batches"),
        "batch_predict_status": ("GET", URL + "/batches/${parameters.id}"),
        "cancel_batch_predict": ("POST", URL + "/batches/${parameters.id}/cancel"),
    }
    for action in body["actions"]:
        assert action["headers"] == {"Authorization": "Bearer ${credential.openAI_key}"}
        assert action["request_body"]


@pytest.mark.parametrize(
    ("endpoint", "field"),
    [("/v1/embeddings", "input"), ("/v1/chat/completions", "messages"), ("/v1/responses", "input")],
)
def test_the_online_action_makes_json_with_the_rows_parameters(endpoint: str, field: str) -> None:
    template = actions(endpoint, dimensions=256, note='a "quoted" word')["predict"]["request_body"]
    filled = template.replace("${parameters.model}", "some-model").replace("${parameters." + field + "}", '["x"]')
    assert json.loads(filled) == {
        "model": "some-model", field: ["x"], "dimensions": 256, "note": 'a "quoted" word'
    }  # fmt: skip


def test_the_online_action_never_asks_for_vectors_that_the_cluster_cannot_read() -> None:
    """neural search reads numbers; the rows of a batch may come packed."""
    with_option = openai.connector("a", "m", "/v1/embeddings", {"dimensions": 8, "encoding_format": "base64"}, URL)
    assert with_option == openai.connector("a", "m", "/v1/embeddings", {"dimensions": 8}, URL)
    line = openai.request("row-1", "x", "m", "/v1/embeddings", {"encoding_format": "base64"})
    assert line["body"]["encoding_format"] == "base64"


@pytest.mark.parametrize("endpoint", openai.ENDPOINTS)
def test_the_submit_action_sends_the_file_and_the_endpoint(endpoint: str) -> None:
    template = actions(endpoint)["batch_predict"]["request_body"]
    filled = template.replace("${parameters.input_file_id}", "file-1").replace("${parameters.batch_endpoint}", endpoint)
    assert json.loads(filled) == {"input_file_id": "file-1", "endpoint": endpoint, "completion_window": "24h"}


def test_only_embeddings_have_the_functions_that_neural_search_needs() -> None:
    assert actions("/v1/embeddings")["predict"]["pre_process_function"] == "connector.pre_process.openai.embedding"
    assert "pre_process_function" not in actions("/v1/responses")["predict"]
    assert all(
        "pre_process_function" not in action for kind, action in actions("/v1/embeddings").items() if kind != "predict"
    )


@pytest.mark.parametrize(
    ("endpoint", "body"),
    [
        ("/v1/embeddings", {"model": "m", "dimensions": 8, "input": "é"}),
        ("/v1/chat/completions", {"model": "m", "dimensions": 8, "messages": [{"role": "user", "content": "é"}]}),
        ("/v1/responses", {"model": "m", "dimensions": 8, "input": "é"}),
    ],
)
def test_a_request_line_names_row_endpoint_and_model(endpoint: str, body: dict[str, Any]) -> None:
    line = openai.request("row-1", "é", "m", endpoint, {"dimensions": 8})
    assert line == {"custom_id": "row-1", "method": "POST", "url": endpoint, "body": body}
    assert openai.request_id(line) == "row-1"


def test_a_request_of_many_texts_has_a_list() -> None:
    line = openai.request("rows-1", ["a", "b"], "m", "/v1/embeddings", {})
    assert (line["custom_id"], line["body"]) == ("rows-1", {"model": "m", "input": ["a", "b"]})


@pytest.mark.parametrize(
    ("endpoint", "parameters", "most"),
    [
        ("/v1/embeddings", {}, 0),
        (CHAT, {}, None),
        (CHAT, {"max_tokens": 50}, 50),
        (CHAT, {"max_completion_tokens": 50}, 50),
        (CHAT, {"max_tokens": 50, "n": 3}, 150),
        (CHAT, {"max_tokens": None}, None),
        (CHAT, {"max_output_tokens": 50}, None),
        (RESPONSES, {"max_output_tokens": 50}, 50),
        (RESPONSES, {"max_tokens": 50}, None),
    ],
)
def test_the_longest_answer_is_bound_by_the_endpoints_own_name(
    endpoint: str, parameters: dict[str, Any], most: int | None
) -> None:
    assert openai.output_tokens_at_most("gpt-4o-mini", endpoint, parameters) == most


def test_the_file_anchors_submission_and_search() -> None:
    assert openai.submit_parameters("file-1") == {"input_file_id": "file-1"}
    assert openai.find_query("file-1") == {"term": {"remote_job.input_file_id": "file-1"}}
    assert openai.input_file_id({"input_file_id": "file-1"}) == "file-1"
    assert openai.input_file_id({}) is None
    assert openai.job_path("batch_1") == "/batches/batch_1"
    assert openai.job_link("batch_1").endswith("/batch_1")


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("validating", "running"),
        ("in_progress", "running"),
        ("finalizing", "running"),
        ("completed", "completed"),
        ("failed", "failed"),
        ("expired", "expired"),
        ("cancelling", "cancelling"),
        ("cancelled", "cancelled"),
    ],
)
def test_every_status_of_the_vendor_has_its_state(status: str, state: str) -> None:
    remote = openai.read_job({"id": "batch_1", "status": status, "output_file_id": "file-o"})
    assert (remote.id, remote.status, remote.state) == ("batch_1", status, state)


def test_every_status_that_is_known_is_tested() -> None:
    assert len(openai.STATES) == 8


@pytest.mark.parametrize("status", ["paused", "canceled", "COMPLETED", "completed_with_errors"])
def test_an_unknown_status_is_refused_and_names_the_job_and_what_to_do(status: str) -> None:
    with pytest.raises(UnknownAnswer, match=rf"batch 'batch_1': status {status!r} .*The job was left alone.*clear"):
        openai.read_job({"id": "batch_1", "status": status})


@pytest.mark.parametrize(
    "job", [{}, {"status": "completed"}, {"status": "completed", "id": ""}, {"id": "b"}, {"id": "b", "status": None}]
)
def test_a_job_without_an_id_or_a_status_may_have_it_later(job: dict[str, Any]) -> None:
    with pytest.raises(Unavailable, match="no '(id|status)'"):
        openai.read_job(job)


def test_counts_are_whole_numbers_even_where_the_cluster_stores_floats() -> None:
    remote = openai.read_job(
        {
            "id": "batch_1",
            "status": "completed",
            "output_file_id": "file-o",
            "error_file_id": "file-e",
            "request_counts": {"total": 10.0, "completed": 8.0, "failed": 2.0},
            "usage": {"input_tokens": 120.0, "output_tokens": 30.0},
        }
    )
    counts = (remote.requests_total, remote.requests_done, remote.requests_failed)
    assert counts == (10, 8, 2)
    assert all(type(n) is int for n in (*counts, remote.usage.input_tokens))
    assert remote.usage == Usage(120, 30)
    assert remote.outputs == ("file-o", "file-e")


def test_nulls_everywhere_are_a_job_that_has_just_begun() -> None:
    nulls = dict.fromkeys(("request_counts", "usage", "errors", "output_file_id", "error_file_id"))
    remote = openai.read_job({"id": "batch_1", "status": "validating", **nulls})
    assert (remote.outputs, remote.requests_total, remote.error_code) == ((), 0, None)


def test_an_error_file_alone_is_an_output() -> None:
    job = {"id": "batch_1", "status": "completed", "output_file_id": None, "error_file_id": "file-e"}
    assert openai.read_job(job).outputs == ("file-e",)


def test_a_failed_job_keeps_code_message_and_line() -> None:
    errors = {
        "object": "list",
        "data": [
            {"code": "invalid_json_line", "message": "This line is not JSON.", "line": 7.0, "param": None},
            {"code": "other", "message": "second"},
        ],
    }
    remote = openai.read_job({"id": "batch_1", "status": "failed", "errors": errors})
    assert (remote.error_code, remote.error_message) == ("invalid_json_line", "This line is not JSON. (line 7)")


def line(body: Any = None, status: int = 200, error: Any = None) -> dict[str, Any]:
    response = None if body is None else {"status_code": status, "request_id": "r", "body": body}
    return {"id": "batch_req_1", "custom_id": "row-1", "response": response, "error": error}


def read(line: dict[str, Any]) -> Answer:
    return openai.read_line(json.dumps(line).encode())


def message(text: str, kind: str = "message") -> dict[str, Any]:
    return {"type": kind, "content": [{"type": "output_text", "text": text}]}


@pytest.mark.parametrize(
    ("answered", "output", "usage"),
    [
        (
            {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}}],
             "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}},
            "Hello",
            Usage(5, 2),
        ),
        (
            {"output": [{"type": "reasoning", "summary": []}, message("Hel"), message("lo")], "error": None,
             "usage": {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}},
            "Hello",
            Usage(5, 2),
        ),
    ],
    ids=["chat", "responses"],
)  # fmt: skip
def test_a_text_is_read_from_each_endpoint(answered: dict[str, Any], output: str, usage: Usage) -> None:
    assert read(line(answered)) == Answer("row-1", output=output, usage=usage)


def embedded(embedding: Any, **more: Any) -> dict[str, Any]:
    return line({"object": "list", "data": [{"index": 0, "embedding": embedding}], **more})


@pytest.mark.parametrize(
    ("usage", "tokens"), [({"usage": {"prompt_tokens": 5, "total_tokens": 5}}, 5), ({"usage": None}, 0), ({}, 0)]
)
def test_a_vector_is_handed_on_as_it_came(usage: dict[str, Any], tokens: int) -> None:
    answer = read(embedded([0.5, -1.0, 1e-8], **usage))
    assert replace(answer, numbers=None) == Answer("row-1", vector=b"[0.5, -1.0, 1e-08]", usage=Usage(tokens))
    assert answer.dimensions == 3


ODD = b'{"custom_id": "row-1", %b"response": {"status_code": 200, "body": {"data": [{%b}]}}}'


@pytest.mark.parametrize(
    ("before", "entry"),
    [
        (b"", b'"embedding" : [0.25, 2]'),
        (b"", b'"embed\\u0064ing": [0.25, 2]'),
        (b'"x": {"embedding": [9, 9]}, ', b'"embedding": [0.25, 2]'),
        (b'"x": "' + b"far" * 1000 + b'", ', b'"embedding": [0.25, 2]'),
        (b'"x": {"embedding": 9}, ', b'"embedding": [0.25, 2]'),
        (b"", b'"embedding": [0.25, 2], "x": {"embedding": [9, 9]}'),
        (b'"a\\"embedding": [9, 9], ', b'"embedding" : [0.25, 2]'),
        (b'"x": "\\"embedding\\": [9, 9]", ', b'"embedding":\t[0.25, 2]'),
        (b'"x": "[", ', b'"embedding": [0.25, 2], "y": "]"'),
    ],
)
def test_the_vector_is_the_right_one_however_the_line_is_written(before: bytes, entry: bytes) -> None:
    answer = openai.read_line(ODD % (before, entry))
    assert isinstance(answer.vector, bytes)
    assert (json.loads(answer.vector), answer.dimensions) == ([0.25, 2], 2)


def test_a_vectors_numbers_come_beside_its_text() -> None:
    answer = read(embedded([0.5, -1, 1e-8]))
    assert memoryview(answer.numbers).cast("d").tolist() == [0.5, -1.0, 1e-8]


def test_lines_are_read_in_threads_side_by_side() -> None:
    """The parser keeps one document at a time."""
    lines = [json.dumps(embedded([n / 7] * 500)).encode() for n in range(200)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(openai.read_line, lines))
    assert [json.loads(answer.vector or b"")[-1] for answer in answers] == [n / 7 for n in range(200)]  # type: ignore[arg-type]


def test_a_base64_vector_is_its_single_precision_values() -> None:
    values = array("f", [0.5, -1.0, 0.1])
    answer = read(embedded(base64.b64encode(values.tobytes()).decode()))
    assert (answer.vector, answer.dimensions) == (values, 3)


@pytest.mark.parametrize(
    "embedding", [[], [None], ["0.5"], [0.5, True], [[0.5]], {"0": 0.5}, None, 0.5, "", "not base64", "AAA="]
)
def test_what_is_not_a_list_of_numbers_is_no_vector(embedding: Any) -> None:
    answer = read(embedded(embedding))
    assert (answer.id, answer.answered, is_vector(answer)) == ("row-1", True, False)


@pytest.mark.parametrize(
    ("failed", "code", "text"),
    [
        (
            line({"error": {"message": "Too long.", "type": "invalid_request_error", "code": "string_above_max"}}, 400),
            "string_above_max",
            "Too long.",
        ),
        (
            line({"error": {"message": "Too long.", "type": "invalid_request_error", "code": None}}, 400),
            "invalid_request_error",
            "Too long.",
        ),
        (line({"error": {"message": "Try later.", "type": None, "code": None}}, 503), "503", "Try later."),
        (line({"detail": "not the usual shape"}, 502), "502", '{"detail":"not the usual shape"}'),
        (
            line(error={"code": "batch_expired", "message": "This request could not be executed before the window."}),
            "batch_expired",
            "This request could not be executed before the window.",
        ),
        (line(error={"code": "batch_cancelled", "message": "Cancelled."}), "batch_cancelled", "Cancelled."),
        (line({"error": {"code": "server_error", "message": "Failed."}, "output": []}), "server_error", "Failed."),
    ],
)
def test_a_failed_line_keeps_the_vendors_code_and_message(failed: dict[str, Any], code: str, text: str) -> None:
    answer = read(failed)
    assert (answer.id, answer.answered, answer.code, answer.message) == ("row-1", False, code, text)


def refused(status: int, code: str | None = None, kind: str = "invalid_request_error") -> dict[str, Any]:
    return line({"error": {"message": "No.", "type": kind, "code": code}}, status)


@pytest.mark.parametrize(
    ("failed", "passing"),
    [
        (line(error={"code": "batch_expired", "message": "Not executed."}), True),
        (line(error={"code": "batch_cancelled", "message": "Not executed."}), True),
        (refused(429, "rate_limit_exceeded"), True),
        (refused(429, None, "tokens"), True),
        (refused(500, None, "server_error"), True),
        (refused(503), True),
        (line({"detail": "bad gateway"}, 502), True),
        (line({"error": {"code": "server_error", "message": "Failed."}, "output": []}), True),
        (refused(429, "insufficient_quota"), False),
        (refused(400, "context_length_exceeded"), False),
        (refused(400, "content_policy_violation"), False),
        (refused(401, "invalid_api_key"), False),
        (refused(400), False),
        (line({"detail": "teapot"}, 418), False),
        (line(error={"code": "never heard of", "message": "?"}), False),
        (line({"choices": [{"message": {"content": None, "refusal": "I will not."}}]}), False),
    ],
)
def test_a_reason_is_passing_or_for_good_and_for_good_when_it_is_not_known(
    failed: dict[str, Any], passing: bool
) -> None:
    answer = read(failed)
    assert (answer.answered, answer.passing) == (False, passing)


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"custom_id": "row-1"},
        line({}),
        line({"data": [{"embedding": [1]}, {"embedding": [2]}]}),
        line({"choices": []}),
        line({"output": "text"}),
        {"custom_id": "row-1", "response": {"body": {}}},
    ],
)
def test_a_line_of_another_shape_is_an_error_and_never_an_answer(broken: dict[str, Any]) -> None:
    with pytest.raises(UnreadableLine):
        read(broken)


def test_several_vectors_for_one_row_are_no_answer() -> None:
    """A request of many texts in a file that was made elsewhere: one of them must not stand for all."""
    with pytest.raises(UnreadableLine, match="2 vectors for one text"):
        read(line({"data": [{"index": 0, "embedding": [1]}, {"index": 1, "embedding": [2]}]}))


def read_many(answered: dict[str, Any]) -> list[Answer | None]:
    return list(openai.read_many(json.dumps(answered).encode()))


def packed(*values: float) -> str:
    return base64.b64encode(array("f", values).tobytes()).decode()


def test_each_text_of_a_request_has_its_vector_and_place_and_the_first_the_usage() -> None:
    data = [{"index": 1, "embedding": [0.5]}, {"index": 0, "embedding": packed(0.25)}]
    assert read_many(line({"data": data, "usage": {"prompt_tokens": 9}})) == [
        Answer("row-1", vector=b"[0.5]", usage=Usage(9), position=1),
        Answer("row-1", vector=array("f", [0.25]), position=0),
    ]


@pytest.mark.parametrize(
    "entry",
    [
        {"embedding": [1]},
        {"index": "0", "embedding": [1]},
        {"index": None, "embedding": [1]},
        None,
        7,
    ],
)
def test_one_broken_entry_is_told_and_leaves_the_others(entry: Any) -> None:
    data = [entry, {"index": 1, "embedding": [2]}]
    assert read_many(line({"data": data})) == [None, Answer("row-1", vector=b"[2]", position=1)]


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"index": 0}, b"null"),
        ({"index": 0, "embedding": None}, b"null"),
        ({"index": 0, "embedding": ["1"]}, b'["1"]'),
        ({"index": 0, "embedding": "not base64"}, b'"not base64"'),
    ],
)
def test_an_entry_without_numbers_is_its_own_rows_answer_and_no_vector(entry: Any, words: bytes) -> None:
    odd, other = read_many(line({"data": [entry, {"index": 1, "embedding": [2]}]}))
    assert (odd and odd.vector, other) == (words, Answer("row-1", vector=b"[2]", position=1))
    assert odd is not None
    assert not is_vector(odd)


@pytest.mark.parametrize(
    "body",
    [
        {"choices": [{"message": {"content": 'A "quoted"\nline, caf\u00e9'}}], "usage": {"prompt_tokens": 3}},
        {"choices": [{"message": {"content": "first"}}, {"message": {"content": "second"}}]},
        {"choices": [{"message": {"content": '{"embedding": [1, 2]}'}}], "usage": {"completion_tokens": 7}},
        {"choices": [{"message": {"content": "x"}}], "usage": None, "error": None},
    ],
)
def test_a_chat_answer_is_read_alike_with_and_without_a_shape_of_its_own(body: dict[str, Any]) -> None:
    """What is not an object of numbers in `usage` is read the long way."""
    usage = body.get("usage") or {}
    odd = body | {"usage": usage | {"prompt_tokens": str(usage.get("prompt_tokens", 0))}}
    assert read(line(body)) == read(line(odd))
    assert read(line(body)).output == body["choices"][0]["message"]["content"]


def test_a_refused_request_of_many_texts_is_one_reason() -> None:
    refused = line({"error": {"message": "Too long.", "type": "invalid_request_error", "code": "too_long"}}, 400)
    assert read_many(refused) == [Answer("row-1", code="too_long", message="Too long.")]
    assert read_many(line(error={"code": "batch_expired", "message": "Late."})) == [
        Answer("row-1", code="batch_expired", message="Late.", passing=True)
    ]


@pytest.mark.parametrize(
    "broken", [line({"data": {"index": 0}}), line({}), {}, line({"choices": [{"message": {"content": "x"}}]})]
)
def test_a_line_about_many_of_another_shape_is_an_error(broken: dict[str, Any]) -> None:
    with pytest.raises(UnreadableLine):
        read_many(broken)


def test_an_answer_without_any_text_is_not_an_answer() -> None:
    """A refusal or a truncated answer has content null: the row needs its reason, not a null."""
    refused = line({"choices": [{"message": {"content": None, "refusal": "I will not."}, "finish_reason": "stop"}]})
    answer = read(refused)
    assert not answer.answered
    assert "I will not." in answer.message


def test_providers_are_found_by_name_and_a_wrong_one_is_told_the_nearest() -> None:
    assert providers.get("openai").NAME == "openai"
    with pytest.raises(SpecError, match=re.escape("unknown provider 'open-ai'; did you mean 'openai'?")):
        providers.get("open-ai")
    with pytest.raises(SpecError, match="known: .*openai"):
        providers.get("xyzzy")
