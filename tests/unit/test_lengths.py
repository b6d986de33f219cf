"""Lengths: a text that the model would refuse is found before it is sent, by the model's own tokens where public."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from opensearch_batch import providers
from opensearch_batch.prepare.bad_rows import BadRows
from opensearch_batch.prepare.lengths import TextLimit, short_enough, text_limit
from opensearch_batch.providers.openai import tokens
from opensearch_batch.sources.records import Record
from opensearch_batch.sources.rows import Place
from opensearch_batch.spec import BatchSpec

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
    return Record(f"row-{number}", text, Place("in.jsonl", number))


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


def test_a_text_that_is_too_long_is_a_bad_row_with_the_reason() -> None:
    bad = BadRows(None, skip=True)
    rows = [record("fine"), record("x y " * 9, 2), record("x y " * 9, 3)]
    assert [kept.id for kept in short_enough(rows, spec(max_text_tokens=8), bad)] == ["row-1"]
    assert (bad.count, bad.refused) == (2, 2)
    assert str(bad.first[0]) == "in.jsonl line 2: the text has 19 tokens, and the model takes 8"


def test_it_is_skipped_where_the_spec_says_so_whatever_holds_for_other_bad_rows() -> None:
    bad = BadRows(None, skip=False)
    assert list(short_enough([record("x y " * 9)], spec(max_text_tokens=8, too_long="skip"), bad)) == []
    assert (bad.count, bad.refused) == (1, 0)


def test_truncated_texts_go_on_with_their_begin_and_are_named(caplog: pytest.LogCaptureFixture) -> None:
    bad = BadRows(None, skip=False)
    rows = [record("fine"), *(record("one two three four", number) for number in range(2, 32))]
    kept = list(short_enough(rows, spec(max_text_tokens=2, too_long="truncate"), bad))
    assert [each.text for each in kept] == ["fine", *["one two"] * 30]
    assert bad.count == 0
    assert "30 texts cut to fit, the first:\nin.jsonl line 2: the text has 4 tokens" in caplog.text
    assert "in.jsonl line 21: " in caplog.text
    assert "in.jsonl line 22: " not in caplog.text


def test_where_the_package_is_not_installed_bytes_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "PACKAGE", "no_such_package")
    tokens._loaded.cache_clear()
    try:
        assert providers.DEFAULT.tokenizer("gpt-4o") is None
    finally:
        tokens._loaded.cache_clear()


def test_the_package_is_in_an_extra_of_the_wheel() -> None:
    assert 'tokens = ["bpe-openai' in (Path(__file__).resolve().parents[2] / "pyproject.toml").read_text()
