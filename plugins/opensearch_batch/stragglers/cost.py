"""Cost: what open rows cost online, at most before they are asked, and as the vendor has counted since."""

from __future__ import annotations

from dataclasses import dataclass

from opensearch_batch import providers
from opensearch_batch.flow.answers import Answer, Usage
from opensearch_batch.flow.output_schema import OutputSchema
from opensearch_batch.prepare.output_schema import bytes_on_top, parameters_of
from opensearch_batch.prepare.prices import Tariff
from opensearch_batch.prepare.shards import estimate_tokens
from opensearch_batch.spec import BatchSpec
from opensearch_batch.stragglers.open_rows import OpenRow


@dataclass(frozen=True)
class Meter:
    """Counts the tokens of a row as the plan does. `bytes_on_top` go with every text, as system prompt and schema;
    answers of vectors, and of a provider that bills no tokens, have `output_tokens_at_most` 0, and their output is not
    counted.
    """

    bytes_on_top: int
    output_tokens_at_most: int

    def at_most(self, row: OpenRow) -> Usage:
        return Usage(estimate_tokens(len(row.text.encode()) + self.bytes_on_top), self.output_tokens_at_most)

    def of(self, row: OpenRow, answer: Answer) -> Usage:
        """Return the vendor's count, where its answer has one; else bytes / 4."""
        if answer.usage.input_tokens or answer.usage.output_tokens:
            return answer.usage
        text = (answer.output or "") if self.output_tokens_at_most else ""
        return Usage(self.at_most(row).input_tokens, estimate_tokens(len(text.encode())))


def meter_of(spec: BatchSpec, schema: OutputSchema | None) -> Meter:
    model = spec.model
    at_most = providers.get(model.provider).output_tokens_at_most(model.name, model.endpoint, model.parameters)
    return Meter(bytes_on_top(spec, parameters_of(spec, schema)), at_most or 0)


@dataclass
class Sum:
    """Rows, tokens and money; `money` is None without a price."""

    tariff: Tariff | None
    rows: int = 0
    tokens: int = 0
    usd: float = 0.0

    def add(self, usage: Usage) -> None:
        self.rows += 1
        self.tokens += usage.input_tokens + usage.output_tokens
        if self.tariff:
            self.usd += self.tariff.at(usage.input_tokens).of(usage)

    @property
    def money(self) -> float | None:
        return self.usd if self.tariff else None
