"""Lengths: texts against the model's limit of tokens. Counted with the model's own tokenizer where it is public and
installed, else by bytes; no network, because the tokenizer's package brings the vocabularies.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from opensearch_batch import providers
from opensearch_batch.prepare.bad_rows import NAMED, BadRows
from opensearch_batch.prepare.plan import counted
from opensearch_batch.providers.protocol import BYTES_A_TOKEN, CUT_BYTES_A_TOKEN, Provider, Tokenizer
from opensearch_batch.sources.records import Record
from opensearch_batch.sources.rows import BadRow
from opensearch_batch.spec import BatchSpec

log = logging.getLogger(__name__)

SLICE_CHARACTERS = 50_000
"""The tokenizer takes 200,000 tokens at once, and a character is four tokens at most."""


@dataclass(frozen=True)
class TextLimit:
    """The tokens that a text may have. `load` gives the model's tokenizer, None without one; the first long text loads
    it.
    """

    tokens: int
    load: Callable[[], Tokenizer | None] = lambda: None

    def excess(self, text: str) -> str | None:
        """Say how long a text above the limit is; None for a text within."""
        size = len(text.encode())
        if size <= self.tokens:  # no token is shorter than a byte
            return None
        if self._tokenizer is None:
            estimate = size // BYTES_A_TOKEN
            return f"about {estimate} tokens (bytes / {BYTES_A_TOKEN})" if estimate > self.tokens else None
        count = count_tokens(self._tokenizer, text)
        return f"{count} tokens" if count > self.tokens else None

    def cut(self, text: str) -> str:
        """Return the begin of the text that is within the limit. The tokens of a begin may be more than they were in
        the whole, so they are counted again.
        """
        if self._tokenizer is None:
            return text.encode()[: self.tokens * CUT_BYTES_A_TOKEN].decode(errors="ignore")
        keep = self.tokens
        while self.excess(kept := _begin(text, keep, self._tokenizer)):
            keep -= 1
        return kept

    @cached_property
    def _tokenizer(self) -> Tokenizer | None:
        return self.load()


def count_tokens(tokenizer: Tokenizer, text: str) -> int:
    """Of a text of any length."""
    return sum(len(tokenizer.encode_ordinary(part)) for part in _slices(text))


def text_limit(spec: BatchSpec, provider: Provider) -> TextLimit | None:
    """Return the spec's limit, else the model's context as genai-prices knows it; None without, and where the vendor
    itself cuts what is too long.
    """
    model = spec.model
    most = spec.input.max_text_tokens
    if most is None and not provider.cuts_texts(model.name, model.parameters):
        most = _context_of(provider, model.name)
    return None if most is None else TextLimit(most, lambda: provider.tokenizer(model.name))


def _context_of(provider: Provider, model: str) -> int | None:
    if provider.PRICE_ID is None:
        return None
    from genai_prices import Usage, calc_price

    try:
        return calc_price(Usage(), model, provider_id=provider.PRICE_ID).model.context_window
    except LookupError:
        return None


def short_enough(records: Iterable[Record], spec: BatchSpec, bad: BadRows) -> Iterator[Record]:
    """Yield the records whose text is within the model's limit, and with input.too_long: truncate the others shortened.
    Else a text above the limit makes a bad row.
    """
    limit = text_limit(spec, providers.get(spec.model.provider))
    if limit is None:
        yield from records
        return
    cut: list[str] = []
    count = 0
    for record in records:
        if (excess := limit.excess(record.text)) is None:
            yield record
            continue
        reason = f"the text has {excess}, and the model takes {limit.tokens}"
        if spec.input.too_long == "truncate":
            count += 1
            if len(cut) < NAMED:
                cut.append(f"{record.place}: {reason}")
            yield replace(record, text=limit.cut(record.text))
        else:
            bad.add(BadRow(record.place, reason, record.id), skip=spec.input.too_long == "skip")
    if cut:
        log.warning("%s cut to fit, the first:\n%s", counted(count, "text"), "\n".join(cut))


def _begin(text: str, left: int, tokenizer: Tokenizer) -> str:
    """Return the first `left` tokens."""
    kept = b""
    for part in _slices(text):
        tokens = tokenizer.encode_ordinary(part)[:left]
        kept += tokenizer.decode_bytes(tokens)
        left -= len(tokens)
        if not left:
            break
    return kept.decode(errors="ignore")


def _slices(text: str) -> Iterator[str]:
    return (text[at : at + SLICE_CHARACTERS] for at in range(0, len(text), SLICE_CHARACTERS))
