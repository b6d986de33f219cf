"""Lengths: a text that the model would refuse is found before it is sent, by the model's own tokens where public."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from opensearch_batch import providers
from opensearch_batch.errors import InputError
from opensearch_batch.prepare.lengths import TextLimit, short_enough, text_limit
from opensearch_batch.providers.openai import tokens
from opensearch_batch.sources.records import Record
from opensearch_batch.spec import BatchSpec
from opensearch_batch.storage import SourceLine

TOKENIZER = providers.DEFAULT.tokenizer("text-embedding-3-small")


AWS_JOB = {"files_uri": "s3://bucket/work", "role_arn": "arn:aws:iam::123456789012:role/r"}


def spec(
    provider: str = "openai", model: str = "text-embedding-3-small", parameters: Any = None, **rows: Any
) -> BatchSpec:
    job = AWS_JOB if provider == "bedrock" else {}
    return BatchSpec.check(
        {
            "name": "n",
            "model": {"provider": provider, "name": model, "parameters": parameters or {}, "job": job},
            "input": {"uri": "file:///in", **rows},
            "output": {"uri": "file:///out"},
        }
    )


def record(text: str, number: int = 1) -> Record:
    return Record(f"row-{number}", text, SourceLine(b"", "in.jsonl", number))


def limit_of(*args: Any, **kwargs: Any) -> int | None:
    made = spec(*args, **kwargs)
    found = text_limit(made, providers.get(made.model.provider))
    return found.tokens if found else None


def test_the_tokenizer_counts_as_the_vendors_own() -> None:
    """Known by heart: https://platform.openai.com/docs/guides/embeddings counts the first sentence like this."""
    assert TOKENIZER is not None
    assert TOKENIZER.encode_ordinary("tiktoken is great!") == [83, 1609, 5963, 374, 2294, 0]


def test_the_vocabularies_need_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", None)
    tokens._loaded.cache_clear()
    found = {model: providers.DEFAULT.tokenizer(model) for model in ("gpt-4", "gpt-4o-mini", "gpt-5.4", "o3-mini")}
    sizes = {name: len(made.encode_ordinary("Überraschungsmoment")) for name, made in found.items() if made}
    assert sizes == {"gpt-4": 7, "gpt-4o-mini": 4, "gpt-5.4": 4, "o3-mini": 4}


@pytest.mark.parametrize(
    ("given", "tokens"),
    [
        ({}, 8192),
        ({"max_text_tokens": 512}, 512),
        ({"model": "gpt-4o-mini"}, 128_000),
        ({"model": "my-own-model"}, None),
        ({"model": "my-own-model", "max_text_tokens": 512}, 512),
        ({"provider": "bedrock", "model": "amazon.titan-embed-text-v2:0"}, 8192),
        ({"provider": "cohere", "model": "embed-v4.0"}, None),
        ({"provider": "cohere", "model": "embed-v4.0", "parameters": {"truncate": "NONE"}}, 128_000),
    ],
)
def test_the_limit_is_the_specs_else_the_models_where_the_vendor_does_not_cut(given: Any, tokens: int | None) -> None:
    assert limit_of(**given) == tokens


@pytest.mark.parametrize("text", ["word " * 8191 + "word", "日本" * 1000])
def test_a_text_within_the_limit_has_no_excess(text: str) -> None:
    assert TextLimit(8192, lambda: TOKENIZER).excess(text) is None


def test_one_token_too_many_is_counted() -> None:
    assert TextLimit(8192, lambda: TOKENIZER).excess("word " * 8192 + "word") == "8193 tokens"


def test_a_long_text_is_counted_in_parts() -> None:
    assert TextLimit(8192, lambda: TOKENIZER).excess("🎉" * 120_000) == "360000 tokens"


def test_without_a_tokenizer_bytes_tell() -> None:
    assert TextLimit(100).excess("x" * 500) is None
    assert TextLimit(100).excess("x" * 505) == "about 101 tokens (bytes / 5)"


@pytest.mark.parametrize("text", ["word " * 9000, "日本語のテキスト" * 3000, "🎉" * 9000, "a" * 90_000, " " * 90_000])
def test_what_is_cut_is_the_begin_and_within_the_limit(text: str) -> None:
    for limit in (TextLimit(1000, lambda: TOKENIZER), TextLimit(1000)):
        kept = limit.cut(text)
        assert kept
        assert text.startswith(kept)
        assert limit.excess(kept) is None


def test_twenty_texts_that_are_too_long_are_named_and_all_are_counted() -> None:
    rows = [record("x y " * 9, number) for number in range(1, 31)]
    with pytest.raises(InputError) as caught:
        list(short_enough([record("fine"), *rows], spec(max_text_tokens=8)))
    said = str(caught.value)
    assert said.startswith("30 texts above the 8 tokens that the model takes, the first 20:\nin.jsonl line 1: ")
    assert "in.jsonl line 20: the text of 'row-20' has 19 tokens" in said
    assert "line 21" not in said
    assert "input.too_long: truncate" in said


def test_truncated_texts_go_on_with_their_begin_and_are_named(caplog: pytest.LogCaptureFixture) -> None:
    rows = [record("fine"), record("one two three four", 2)]
    kept = list(short_enough(rows, spec(max_text_tokens=2, too_long="truncate")))
    assert [(each.id, each.text) for each in kept] == [("row-1", "fine"), ("row-2", "one two")]
    assert "cut to fit: 1 text above the 2 tokens" in caplog.text


def test_where_the_package_is_not_installed_bytes_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "PACKAGE", "no_such_package")
    tokens._loaded.cache_clear()
    try:
        assert providers.DEFAULT.tokenizer("gpt-4o") is None
    finally:
        tokens._loaded.cache_clear()


def test_the_package_is_in_an_extra_of_the_wheel() -> None:
    assert 'tokens = ["bpe-openai' in (Path(__file__).resolve().parents[2] / "pyproject.toml").read_text()
