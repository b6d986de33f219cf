"""Chunks: long texts become several records, cut by a library at paragraphs, sentence ends, words; no network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import msgspec
import orjson

from opensearch_batch import providers
from opensearch_batch.chunk_section import ChunkSection
from opensearch_batch.errors import SpecError
from opensearch_batch.extras import imported_from
from opensearch_batch.flow.chunks import CHUNK, Chunk, chunk_id
from opensearch_batch.flow.shards import FieldType
from opensearch_batch.flow.text_hash import text_hash
from opensearch_batch.prepare.lengths import count_tokens, text_limit
from opensearch_batch.providers.protocol import Provider
from opensearch_batch.sources.hashed import TEXT_HASH, hash_of_model
from opensearch_batch.sources.records import Record
from opensearch_batch.sources.rows import BadRow
from opensearch_batch.spec import BatchSpec

CHUNK_TYPES: dict[str, FieldType] = {TEXT_HASH: "text", CHUNK: "json"}
"""Fields of each result of a chunk."""

LONGEST_LINE = 20_000
"""Characters. The splitter's time grows with the square of a line without sentence ends: 50 MB of one letter would take
a day. Longer lines are cut at a space before they are given to the splitter.
"""


class Splitter:
    """Cuts texts, the same text always in the same way. `count` is the length of a text; None for its characters."""

    def __init__(self, section: ChunkSection, count: Callable[[str], int] | None = None) -> None:
        require_libraries()
        from semantic_text_splitter import TextSplitter

        size, overlap = section.size, section.overlap
        self._splitter = (
            TextSplitter(size, overlap) if count is None else TextSplitter.from_callback(count, size, overlap)
        )

    def cut(self, text: str) -> Iterator[tuple[int, str]]:
        """Yield each chunk with its place in the text; none for a text of white space. Raise UnicodeEncodeError for
        half a surrogate pair.
        """
        for begin, end in _spans(text):
            for at, chunk in self._splitter.chunk_indices(text[begin:end]):
                if chunk.strip():  # Python knows more white space than the library
                    yield begin + at, chunk


def require_libraries() -> None:
    """Raise SpecError where the library that cuts texts is not installed."""
    with imported_from("chunks", "input.chunks"):
        import semantic_text_splitter  # noqa: F401


def splitter_of(spec: BatchSpec, section: ChunkSection, provider: Provider) -> Splitter:
    """Raise SpecError for chunks in tokens where the tokenizer is not to be had, and for chunks above the model's
    limit.
    """
    if section.unit == "characters":
        return Splitter(section)
    tokenizer = provider.tokenizer(spec.model.name)
    if tokenizer is None:
        raise SpecError(
            f"input.chunks counts tokens, and the tokenizer of {spec.model.name} is not public, or not installed (pip "
            "install 'opensearch-batch[tokens]'). Say input.chunks.unit: characters"
        )
    limit = text_limit(spec, provider)
    if limit is not None and section.size > limit.tokens:
        raise SpecError(f"input.chunks.size is {section.size} tokens, and the model takes {limit.tokens}")
    return Splitter(section, lambda text: count_tokens(tokenizer, text))


def chunks_of(
    records: Iterable[Record | BadRow], spec: BatchSpec, section: ChunkSection, most: int | None
) -> Iterator[Record | BadRow]:
    """As `chunked`, in the way that a spec says."""
    splitter = splitter_of(spec, section, providers.get(spec.model.provider))
    return chunked(records, splitter, model=hash_of_model(spec), keep_text=section.keep_text, most=most)


def chunked(
    records: Iterable[Record | BadRow], splitter: Splitter, *, model: bytes, keep_text: bool, most: int | None = None
) -> Iterator[Record | BadRow]:
    """Yield a record for each chunk, its fields those of the whole record and the chunk's own. `model` is a model_hash.
    A text of more than `most` chunks makes a bad row.
    """
    for record in records:
        if isinstance(record, BadRow):
            yield record
            continue
        try:
            found = list(islice(splitter.cut(record.text), None if most is None else most + 1))
        except UnicodeEncodeError:
            yield BadRow(record.place, "the text holds half a surrogate pair, which is no Unicode", record.id)
            continue
        if most is not None and len(found) > most:
            reason = f"the text makes more chunks than the index takes in a document, which is {most}. Raise "
            reason += "input.chunks.size, or index.mapping.nested_objects.limit of the index"
            yield BadRow(record.place, reason, record.id)
            continue
        _, fields = orjson.loads(record.fields)
        for number, (start, text) in enumerate(found):
            chunk = Chunk(
                of=record.id,
                number=number,
                count=len(found),
                start=start,
                end=start + len(text),
                of_hash=fields.get(TEXT_HASH, ""),
                text=text if keep_text else None,
            )
            own = {**fields, TEXT_HASH: text_hash(model, text), CHUNK: msgspec.to_builtins(chunk)}
            row_id = chunk_id(record.id, number)
            line = orjson.dumps([row_id, own], option=orjson.OPT_APPEND_NEWLINE)
            yield Record(row_id, text, record.place, line)


def _spans(text: str) -> Iterator[tuple[int, int]]:
    """Yield begin and end of the parts that go to the splitter: all of a text whose lines are short enough."""
    begin = line = 0
    while line < len(text):
        end = text.find("\n", line, line + LONGEST_LINE) + 1
        if not end and len(text) - line > LONGEST_LINE:
            end = _before(text, line)
            yield begin, end
            begin = end
        line = end or len(text)
    if begin < len(text):
        yield begin, len(text)


def _before(text: str, line: int) -> int:
    """Return where a line is cut that is too long: after its last sentence or word within, or where it must be."""
    most = line + LONGEST_LINE
    for sign in (". ", " "):
        if (at := text.rfind(sign, line + LONGEST_LINE // 2, most)) != -1:
            return at + len(sign)
    return most
