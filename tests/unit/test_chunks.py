"""Cutting texts: the same text always in the same way, each chunk within its size, each with its place."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from opensearch_batch import providers
from opensearch_batch.chunk_section import ChunkSection
from opensearch_batch.errors import SpecError
from opensearch_batch.flow.chunks import Chunk, chunk_id, row_of
from opensearch_batch.flow.text_hash import text_hash
from opensearch_batch.prepare.chunks import LONGEST_LINE, Splitter, chunked, splitter_of
from opensearch_batch.prepare.lengths import count_tokens
from opensearch_batch.sources.records import Record
from opensearch_batch.sources.rows import BadRow, Place
from opensearch_batch.spec import BatchSpec

TOKENIZER = providers.DEFAULT.tokenizer("text-embedding-3-small")
MODEL = b"m" * 16
PLACE = Place("file:///in.jsonl", 1)


def section(size: int, overlap: int = 0, unit: str = "characters", **more: Any) -> ChunkSection:
    return ChunkSection.model_validate({"size": size, "overlap": overlap, "unit": unit, **more})


def tokens(text: str) -> int:
    assert TOKENIZER is not None
    return count_tokens(TOKENIZER, text)


def record(text: str, row_id: str = "r") -> Record:
    return Record(row_id, text, PLACE, orjson.dumps([row_id, {"lang": "en"}]))


def chunks_of(found: Iterator[Record | BadRow]) -> list[Chunk]:
    made = [orjson.loads(each.fields)[1]["_chunk"] for each in found if isinstance(each, Record)]
    return [msgspec.convert(each, Chunk) for each in made]


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=400), st.integers(1, 60), st.integers(0, 20))
@example("👩‍👩‍👧‍👦 é\u0301 漢字。\r\n\x00", 3, 0)
@example("a\x1f\x1fb", 1, 0)
@example("x" * 399, 7, 6)
def test_each_chunk_is_the_text_at_its_place(text: str, size: int, overlap: int) -> None:
    how = section(size, min(overlap, size - 1))
    found = list(Splitter(how).cut(text))
    assert found == list(Splitter(how).cut(text))
    assert all(text[at : at + len(chunk)] == chunk and chunk.strip() for at, chunk in found)
    assert [at for at, _ in found] == sorted(at for at, _ in found)
    if not how.overlap:
        assert "".join("".join(chunk.split()) for _, chunk in found) == "".join(text.split())
    assert bool(found) == bool(text.strip())


def test_a_text_is_cut_at_the_ends_of_sentences_and_within_the_size() -> None:
    text = " ".join(f"This is sentence number {n}." for n in range(40))
    for unit, size, length in (("characters", 100, len), ("tokens", 20, tokens)):
        found = [chunk for _, chunk in Splitter(section(size, 0, unit), None if length is len else tokens).cut(text)]
        assert all(chunk.endswith(".") and chunk.startswith("This") for chunk in found)
        assert max(map(length, found)) <= size
        assert " ".join(found) == text


def test_an_overlap_comes_again_at_the_begin_of_the_next_chunk() -> None:
    text = " ".join(f"This is sentence number {n}." for n in range(40))
    found = list(Splitter(section(100, 30)).cut(text))
    assert all(
        at < before + len(chunk) and before + len(chunk) - at <= 30
        for (before, chunk), (at, _) in zip(found, found[1:], strict=False)
    )


@pytest.mark.parametrize(
    "text", ["x" * 300_000, "word " * 60_000, "é漢👩‍👩‍👧 " * 30_000], ids=["letters", "words", "emoji"]
)
def test_time_does_not_grow_with_the_square_of_a_line(text: str) -> None:
    """Unbounded, three times the text took nine times as long."""
    splitter = Splitter(section(2000, 200))
    began = time.process_time()
    third = list(splitter.cut(text[: len(text) // 3]))
    once = time.process_time()
    whole = list(splitter.cut(text))
    assert time.process_time() - once < 6 * (once - began)
    assert len(whole) == pytest.approx(3 * len(third), rel=0.1)
    assert all(text[at : at + len(chunk)] == chunk for at, chunk in whole)


def test_short_lines_go_to_the_splitter_as_one_text() -> None:
    """A long line before them or after them changes nothing in how they are cut."""
    lines = "\n".join(f"Line {n} is short." for n in range(3000))
    alone = [chunk for _, chunk in Splitter(section(500)).cut(lines)]
    together = [chunk for _, chunk in Splitter(section(500)).cut(f"{lines}\n{'x' * (2 * LONGEST_LINE)}\n")]
    assert len(lines) > 2 * LONGEST_LINE
    assert together[: len(alone) - 1] == alone[:-1]


def test_a_record_for_each_chunk_says_of_which_text_it_is_which_part() -> None:
    text = "The first sentence is here. The second one is here."
    found = list(chunked([record(text, "a#1")], Splitter(section(30)), model=MODEL, keep_text=True))
    assert [(each.id, each.text) for each in found if isinstance(each, Record)] == [
        ("a#1#0", "The first sentence is here."),
        ("a#1#1", "The second one is here."),
    ]
    first, second = found
    assert isinstance(second, Record)
    assert orjson.loads(second.fields) == [
        "a#1#1",
        {
            "_text_hash": text_hash(MODEL, "The second one is here."),
            "lang": "en",
            "_chunk": {
                "of": "a#1",
                "number": 1,
                "count": 2,
                "start": 28,
                "end": 51,
                "text": "The second one is here.",
            },
        },
    ]
    assert first != second


def test_the_text_is_left_out_where_it_is_not_kept() -> None:
    [chunk] = chunks_of(chunked([record("a text")], Splitter(section(30)), model=MODEL, keep_text=False))
    assert chunk == Chunk(of="r", number=0, count=1, start=0, end=6)


def test_a_bad_row_stays_one_and_half_a_surrogate_pair_makes_one() -> None:
    bad = BadRow(PLACE, "no text", "b")
    found = list(chunked([bad, record("half \ud83d a pair")], Splitter(section(30)), model=MODEL, keep_text=True))
    assert found == [bad, BadRow(PLACE, "the text holds half a surrogate pair, which is no Unicode", "r")]


def test_twelve_thousand_chunks_are_one_bad_row() -> None:
    text = "A sentence. " * 12_000
    splitter = Splitter(section(12))
    [bad] = chunked([record(text)], splitter, model=MODEL, keep_text=True, most=10_000)
    assert isinstance(bad, BadRow)
    assert "more chunks than the index takes in a document, which is 10000" in bad.reason
    assert len(chunks_of(chunked([record(text)], splitter, model=MODEL, keep_text=False))) == 12_000


@pytest.mark.parametrize("row_id", ["a", "a#0", "#", "", "a#0#0", "№#"])
def test_the_last_number_sign_separates(row_id: str) -> None:
    assert row_of(chunk_id(row_id, 7)) == row_id


def spec(**values: Any) -> BatchSpec:
    base = {
        "name": "s",
        "model": {"name": "text-embedding-3-small"},
        "input": {"uri": "opensearch://c/i", "chunks": {"size": 512}},
        "output": {"uri": "file:///out"},
    }
    return BatchSpec.check({**base, **values})


def test_an_overlap_as_large_as_the_size_is_refused() -> None:
    with pytest.raises(SpecError, match="overlap is 512; it must be less than size, which is 512"):
        spec(input={"uri": "file:///in", "chunks": {"size": 512, "overlap": 512}})


def test_chunks_need_a_nested_field_and_one_provenance_beside_it() -> None:
    with pytest.raises(SpecError, match=r"e\.g\. chunks\.vector, of which chunks is a nested field"):
        spec(write_back={"vector_field": "vector"})
    with pytest.raises(SpecError, match="provenance_field is of the document: it cannot lie in chunks"):
        spec(write_back={"vector_field": "chunks.vector", "provenance_field": "chunks.made"})
    with pytest.raises(SpecError, match="a chunk has its own text"):
        spec(write_back={"vector_field": "chunks.text"})
    back = spec(write_back={"vector_field": "parts.chunks.vector"}).write_back
    assert back is not None
    assert (back.chunks_field, back.provenance, back.hash_field) == (
        "parts.chunks", "parts.chunks_provenance", "parts.chunks_provenance.text_hash"
    )  # fmt: skip


def test_tokens_are_those_of_the_model_or_the_unit_is_refused() -> None:
    vendor, how = providers.DEFAULT, section(20, 0, "tokens")
    text = " ".join(f"This is sentence number {n}." for n in range(40))
    found = [chunk for _, chunk in splitter_of(spec(), how, vendor).cut(text)]
    assert max(map(tokens, found)) <= 20 < len(found[0])
    with pytest.raises(SpecError, match="the tokenizer of unknown-model is not public.*unit: characters"):
        splitter_of(spec(model={"name": "unknown-model"}), how, vendor)
    with pytest.raises(SpecError, match="size is 9000 tokens, and the model takes 8192"):
        splitter_of(spec(), section(9000, 0, "tokens"), vendor)
