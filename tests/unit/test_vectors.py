"""Every vendor's vectors are checked in one place: finite numbers, at least one, of the length that was asked for."""

from __future__ import annotations

import base64
import math
from array import array
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
import simdjson

from opensearch_batch import providers
from opensearch_batch.flow.answers import Answer
from opensearch_batch.flow.asked import Asked
from opensearch_batch.flow.data_files import Format
from opensearch_batch.land.reconcile import FIRST, MISSING, NOT_A_VECTOR, OTHER_DIMENSIONS, Failure, Fate, Tally, join
from opensearch_batch.land.vectors import is_vector, is_zero
from opensearch_batch.providers.cohere.provider import answered
from opensearch_batch.sinks.formats import open_results


def openai_line(row_id: str, embedding: bytes) -> bytes:
    body = b'{"data":[{"index":0,"embedding":' + embedding + b'}],"usage":{"prompt_tokens":1}}'
    return b'{"custom_id":"' + row_id.encode() + b'","response":{"status_code":200,"body":' + body + b"}}"


def titan_line(row_id: str, embedding: bytes) -> bytes:
    return b'{"recordId":"' + row_id.encode() + b'","modelOutput":{"embedding":' + embedding + b"}}"


def bedrock_cohere_line(row_id: str, embedding: bytes) -> bytes:
    return b'{"recordId":"' + row_id.encode() + b'","modelOutput":{"embeddings":{"float":[' + embedding + b"]}}}"


def sagemaker_line(row_id: str, embedding: bytes) -> bytes:
    return b'{"id":"' + row_id.encode() + b'","SageMakerOutput":[' + embedding + b"]}"


def named_line(row_id: str, embedding: bytes) -> bytes:
    return b'{"id":"' + row_id.encode() + b'","SageMakerOutput":{"embedding": ' + embedding + b"}}"


def cohere_line(row_id: str, embedding: bytes) -> bytes:
    return b'{"id":"' + row_id.encode() + b'","embedding":' + embedding + b"}"


LINES = {
    "openai": openai_line,
    "bedrock": titan_line,
    "bedrock, cohere": bedrock_cohere_line,
    "sagemaker": sagemaker_line,
    "sagemaker, named": named_line,
    "cohere": cohere_line,
}
NO_NUMBERS = [b"[null,null]", b"[]", b"[NaN,NaN]", b"[0.5,-Infinity]", b"[1e999]", b"[0.5,1e39]", b"[true]", b"null"]


def landed(
    name: str, lines: list[bytes], ids: list[str], asked: Asked | None = None, groups: Mapping[str, Any] | None = None
) -> tuple[dict[str, Answer | Failure], Tally]:
    tally, vendor = Tally(repair=True), providers.get(name.partition(",")[0])
    rows = list(join(ids, lines, vendor, Fate(), tally, groups, asked=asked or Asked()))
    assert sorted(row.id for row in rows) == sorted(ids)
    return {row.id: row for row in rows}, tally


@pytest.mark.parametrize("name", LINES)
@pytest.mark.parametrize("embedding", NO_NUMBERS)
@pytest.mark.parametrize("odd_first", [True, False])
def test_a_vector_without_numbers_fails_for_good_in_the_providers_words(
    name: str, embedding: bytes, odd_first: bool
) -> None:
    lines = [LINES[name]("n", embedding), LINES[name]("a", b"[0.5,1]"), LINES[name]("b", b"[0.25,1]")]
    rows, tally = landed(name, lines if odd_first else lines[::-1], ["n", "a", "b"])
    failure = rows["n"]
    assert isinstance(failure, Failure)
    assert (failure.code, failure.passing) == (NOT_A_VECTOR, False)
    assert (tally.answered, tally.codes, tally.passing, tally.unreadable) == (2, {NOT_A_VECTOR: 1}, {}, 0)
    if embedding == b"[null,null]":
        assert failure.message.endswith(": [null,null]")


@pytest.mark.parametrize("name", LINES)
def test_where_no_row_has_numbers_every_row_is_named(name: str) -> None:
    rows, tally = landed(name, [LINES[name](each, b"[null]") for each in "ab"], ["a", "b"])
    assert (tally.answered, tally.codes) == (0, {NOT_A_VECTOR: 2})


@pytest.mark.parametrize("numbers", [[math.nan, math.nan], [0.5, math.inf], []])
def test_base64_without_finite_numbers_is_no_vector(numbers: list[float]) -> None:
    coded = orjson.dumps(base64.b64encode(array("f", numbers).tobytes()).decode())
    rows, tally = landed("openai", [openai_line("n", coded)], ["n"])
    assert tally.codes == {NOT_A_VECTOR: 1}
    together = b'{"custom_id":"g","response":{"status_code":200,"body":{"data":[{"index":0,"embedding":%b}]}}}' % coded
    rows, tally = landed("openai", [together], ["n"], groups={"g": ["n"]})
    assert tally.codes == {NOT_A_VECTOR: 1}


def test_a_nan_of_avro_is_no_vector() -> None:
    _, tally = landed("cohere", [answered("n", {"float": [math.nan]}), answered("a", [0.5])], ["n", "a"])
    assert (tally.answered, tally.codes) == (1, {NOT_A_VECTOR: 1})


@pytest.mark.parametrize(
    ("name", "line"),
    [
        (
            "openai",
            b'{"custom_id":"n","response":{"status_code":200,"body":{"choices":[{"message":{"content":"x"}}]}}}',
        ),
        ("bedrock", b'{"recordId":"n","modelOutput":{"content":[{"type":"text","text":"x"}]}}'),
        ("sagemaker", b'{"id":"n","SageMakerOutput":"x"}'),
    ],
)
def test_of_a_model_of_vectors_no_text_lands(name: str, line: bytes) -> None:
    rows, tally = landed(name, [line], ["n"], Asked(vectors=True))
    assert tally.codes == {NOT_A_VECTOR: 1}
    assert getattr(rows["n"], "message", "").endswith(": x")


@pytest.mark.parametrize("output", ['{"embedding": "AACAPw=="}', '{"vectors": {"a": 1}}', '{"embeddings": null}'])
def test_what_a_container_names_a_vector_is_no_text(output: str) -> None:
    _, tally = landed("sagemaker", [b'{"id":"n","SageMakerOutput":' + output.encode() + b"}"], ["n"])
    assert tally.codes == {NOT_A_VECTOR: 1}


@pytest.mark.parametrize("name", LINES)
def test_a_vector_of_zeros_lands_and_is_named(name: str) -> None:
    lines = [LINES[name]("z", b"[0.0,-0.0]"), LINES[name]("a", b"[0.0,1]")]
    rows, tally = landed(name, lines, ["z", "a"])
    assert (tally.answered, tally.zero_vectors, tally.named) == (2, 1, {"zero_vectors": ["z"]})


@pytest.mark.parametrize("name", LINES)
def test_the_length_asked_for_decides(name: str) -> None:
    lines = [LINES[name](each, b"[1,2,3,4]") for each in "ab"] + [LINES[name]("c", b"[1,2]")]
    rows, tally = landed(name, lines, ["a", "b", "c"], Asked(True, 2))
    assert (tally.answered, tally.codes) == (1, {OTHER_DIMENSIONS: 2})
    assert getattr(rows["a"], "message", "") == "the vector has 4 numbers, 2 were asked for"


@pytest.mark.parametrize("name", LINES)
@pytest.mark.parametrize("rows", [3, FIRST, 5 * FIRST])
def test_one_odd_line_at_the_begin_takes_no_other_row_with_it(name: str, rows: int) -> None:
    ids = [f"r{number}" for number in range(rows)]
    lines = [LINES[name](ids[0], b"[1,2,3,4]")] + [LINES[name](each, b"[1,2]") for each in ids[1:]]
    found, tally = landed(name, lines, ids)
    assert (tally.answered, tally.codes) == (rows - 1, {OTHER_DIMENSIONS: 1})
    assert isinstance(found["r0"], Failure)


def test_the_majority_may_be_texts() -> None:
    lines = [named_line("n", b"[1,2]")] + [b'{"id":"%b","SageMakerOutput":"text"}' % each for each in (b"a", b"b")]
    _, tally = landed("sagemaker", lines, ["n", "a", "b"])
    assert (tally.answered, tally.codes) == (2, {OTHER_DIMENSIONS: 1})


def test_a_word_that_is_no_json_spoils_no_text_line() -> None:
    body = b'{"score":NaN,"choices":[{"message":{"content":"NaN"}}]}'
    line = b'{"custom_id":"n","response":{"status_code":200,"body":' + body + b"}}"
    rows, tally = landed("openai", [line], ["n"])
    assert getattr(rows["n"], "output", "") == "NaN"
    assert tally.codes == {}
    _, tally = landed("openai", [b'{"custom_id":NaN,', line], ["n", "m"])
    assert (tally.unreadable, tally.passing) == (1, {MISSING: 1})


@pytest.mark.parametrize(
    ("name", "model", "endpoint", "parameters", "asked"),
    [
        ("openai", "m", "/v1/embeddings", {"dimensions": 2}, Asked(True, 2)),
        ("openai", "m", "/v1/embeddings", {}, Asked(True)),
        ("openai", "m", "/v1/chat/completions", {"dimensions": 2}, Asked(False)),
        ("bedrock", "amazon.titan-embed-text-v2:0", "/invoke", {"dimensions": 256}, Asked(True, 256)),
        ("bedrock", "us.cohere.embed-v4:0", "/invoke", {"output_dimension": 512}, Asked(True, 512)),
        ("bedrock", "us.amazon.nova-lite-v1:0", "/invoke", {}, Asked(False)),
        ("sagemaker", "m", "/invocations", {}, Asked()),
        ("sagemaker", "m", "/invocations", {"dimensions": 8}, Asked(True, 8)),
        ("cohere", "embed-v4.0", "/v1/embed", {"truncate": "END"}, Asked(True)),
        ("bedrock", "us.cohere.embed-v4:0", "/invoke", {"output_dimension": True}, Asked(True)),
    ],
)
def test_what_is_asked_for(name: str, model: str, endpoint: str, parameters: dict[str, Any], asked: Asked) -> None:
    assert providers.get(name).asked(model, endpoint, parameters) == asked


@pytest.mark.parametrize(
    ("text", "good"),
    [
        (b"[3.4028234663852886e38]", True),
        (b"[3.4028235677973366e+38]", False),
        (b"[" + b"9" * 30 + b"]", True),
        (b"[-" + b"9" * 400 + b"]", False),
        (b"[ 1 ,\t2]", True),
        (b"[[1]]", False),
        (b"[1e-300]", True),
    ],
)
def test_the_bounds_of_single_precision(text: bytes, good: bool) -> None:
    assert is_vector(Answer("a", vector=text)) == good
    if text[1:2] != b"[" and len(text) < 30:
        parsed: Any = simdjson.Parser().parse(text)
        numbers = parsed.as_buffer(of_type="d")
        assert is_vector(Answer("a", vector=text, numbers=numbers)) == good


@pytest.mark.parametrize("vector", [b"[0]", b"[0.0,0e5,-0.0]", array("f", [0.0, -0.0])])
def test_zeros_in_every_form(vector: bytes | array[float]) -> None:
    assert is_zero(Answer("a", vector=vector))


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_a_truncated_text_is_marked_in_both_formats(form: Format, tmp_path: Path) -> None:
    with open_results(f"file://{tmp_path}/out", form, {}) as out:
        out.add(Answer("a", "whole"))
        out.add(Answer("b", "cut", truncated=True))
        out.commit()
    if form == "jsonl":
        whole, cut = map(orjson.loads, (tmp_path / "out.jsonl").read_bytes().splitlines())
        assert (whole, cut) == ({"id": "a", "output": "whole"}, {"id": "b", "output": "cut", "truncated": True})
    else:
        import pyarrow.parquet

        assert pyarrow.parquet.read_table(tmp_path / "out.parquet")["truncated"].to_pylist() == [False, True]


THOUGHT = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}
TWO = [THOUGHT, {"type": "text", "text": "One "}, {"type": "text", "text": "two."}]


def chat(content: Any, reason: str = "stop") -> dict[str, Any]:
    body = {"choices": [{"message": {"content": content}, "finish_reason": reason}]}
    return {"custom_id": "n", "response": {"status_code": 200, "body": body}}


def response(output: list[Any], **more: Any) -> dict[str, Any]:
    return {"custom_id": "n", "response": {"status_code": 200, "body": {"output": output, **more}}}


def claude(content: Any, reason: str = "end_turn") -> dict[str, Any]:
    return {"recordId": "n", "modelOutput": {"content": content, "stop_reason": reason}}


def nova(content: Any, reason: str = "end_turn") -> dict[str, Any]:
    return {"recordId": "n", "modelOutput": {"output": {"message": {"content": content}}, "stopReason": reason}}


def container(output: Any) -> dict[str, Any]:
    return {"id": "n", "SageMakerOutput": output}


REASONING = {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "Hm."}]}
SAID = {"content": [{"type": "output_text", "text": "One two."}]}
INCOMPLETE = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
NOVAS = [{"reasoningContent": {"reasoningText": {"text": "Hm."}}}, {"text": "One two."}]


@pytest.mark.parametrize(
    ("name", "line", "truncated"),
    [
        ("openai", chat(TWO), False),
        ("openai", chat(["One ", "two."]), False),
        ("openai", chat("One two.", "length"), True),
        ("openai", chat(TWO, "model_length"), True),
        ("openai", response([REASONING, SAID], status="completed"), False),
        ("openai", response([SAID], **INCOMPLETE), True),
        ("bedrock", claude(TWO), False),
        ("bedrock", claude(TWO, "max_tokens"), True),
        ("bedrock", nova(NOVAS), False),
        ("bedrock", nova(NOVAS, "max_tokens"), True),
        ("sagemaker", container(TWO), False),
        (
            "sagemaker",
            container([{"generated_text": [{"role": "user", "content": "?"}, {"role": "assistant", "content": TWO}]}]),
            False,
        ),
        ("sagemaker", container([{"generated_text": "One two.", "details": {"finish_reason": "length"}}]), True),
    ],
)
def test_the_text_parts_are_the_answer_and_a_cut_answer_is_marked(name: str, line: Any, truncated: bool) -> None:
    rows, tally = landed(name, [orjson.dumps(line)], ["n"])
    answer = rows["n"]
    assert isinstance(answer, Answer)
    assert (answer.output, answer.truncated, tally.truncated) == ("One two.", truncated, int(truncated))
    assert tally.named == ({"truncated": ["n"]} if truncated else {})


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("openai", chat([THOUGHT])),
        ("openai", chat({"odd": 1}, {"odd": 2})),  # type: ignore[arg-type]
        ("openai", response([REASONING], status="completed")),
        ("bedrock", claude([THOUGHT], ["odd"])),  # type: ignore[arg-type]
        ("bedrock", nova(NOVAS[:1])),
        ("sagemaker", container([THOUGHT])),
    ],
)
def test_thinking_alone_is_no_answer(name: str, line: Any) -> None:
    _, tally = landed(name, [orjson.dumps(line)], ["n"])
    assert (tally.answered, tally.codes, tally.passing) == (0, {"no_output": 1}, {})
