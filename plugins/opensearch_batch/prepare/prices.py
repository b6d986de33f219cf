"""Prices: what tokens of a batch cost, by a request's size. The plan, the budget and the report price with Price.of.

Vendors bill long requests at a higher price a token, for all tokens of the request.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from opensearch_batch import providers
from opensearch_batch.errors import SpecError
from opensearch_batch.flow.answers import Usage
from opensearch_batch.providers.protocol import Provider
from opensearch_batch.spec import BatchSpec

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, PriceCalculation

BATCH = {"processing": "batch"}
"""The price context of genai-prices' own batch prices; of a model without any genai-prices gives the list price."""


@dataclass(frozen=True)
class Price:
    """US dollars a million tokens of a batch; and an hour of a machine."""

    input_usd: float = 0.0
    output_usd: float = 0.0
    instance_hour_usd: float = 0.0

    def of(self, usage: Usage) -> float:
        tokens = (usage.input_tokens * self.input_usd + usage.output_tokens * self.output_usd) / 1e6
        return tokens + usage.instance_seconds / 3600 * self.instance_hour_usd


@dataclass(frozen=True)
class Tariff:
    """Prices by a request's input tokens, in ascending order: each price holds above its number. `origin` is said in
    the plan.
    """

    origin: str
    steps: tuple[tuple[int, Price], ...]

    def at(self, input_tokens: int) -> Price:
        """Return the price of every token of a request of this size."""
        return next((price for above, price in reversed(self.steps) if input_tokens > above), self.steps[0][1])


class MeanPrice:
    """The mean price of the added requests, each at the tariff's price for the request's own size: input weighed by
    tokens, output by rows.
    """

    def __init__(self, tariff: Tariff) -> None:
        self._tariff = tariff
        self._tokens: Counter[Price] = Counter()
        self._rows: Counter[Price] = Counter()

    def add(self, input_tokens: int, rows: int) -> None:
        price = self._tariff.at(input_tokens)
        self._tokens[price] += input_tokens
        self._rows[price] += rows

    @property
    def value(self) -> Price:
        if len(self._rows) < 2:
            return next(iter(self._rows), self._tariff.at(0))
        return Price(_mean(self._tokens, "input_usd"), _mean(self._rows, "output_usd"))


def tariff_of(provider: Provider, model: str, usd_per_million_tokens: float | None) -> Tariff | None:
    """Return the given batch price for all tokens, else genai-prices' batch price, else its list price times the
    provider's batch factor, else None.
    """
    if usd_per_million_tokens is not None:
        return Tariff("limits.usd_per_million_tokens", ((0, Price(usd_per_million_tokens, usd_per_million_tokens)),))
    return _tariff(provider, model, BATCH, _factor)


def online_tariff_of(provider: Provider, model: str, usd_per_million_tokens: float | None) -> Tariff | None:
    """Return the given price for all tokens asked online, else genai-prices' list price, else None."""
    if usd_per_million_tokens is not None:
        price = Price(usd_per_million_tokens, usd_per_million_tokens)
        return Tariff("limits.straggler_usd_per_million_tokens", ((0, price),))
    return _tariff(provider, model, None, lambda model, provider: (1.0, "genai-prices' list price"))


def straggler_tariff_of(spec: BatchSpec) -> Tariff | None:
    model = spec.model
    return online_tariff_of(providers.get(model.provider), model.name, spec.limits.straggler_usd_per_million_tokens)


def known_straggler_tariff(spec: BatchSpec) -> Tariff:
    """Raise SpecError for a spec that pays for stragglers whose price is not known."""
    if (tariff := straggler_tariff_of(spec)) is None:
        raise SpecError(
            f"limits.max_straggler_usd is {spec.limits.max_straggler_usd:g}, and no list price of {spec.model.name} is "
            "known: say limits.straggler_usd_per_million_tokens. Nothing was sent."
        )
    return tariff


Factor = Callable[["ModelInfo", Provider], tuple[float, str]]
"""What genai-prices' price is multiplied by, and what the product is called."""


def _tariff(provider: Provider, model: str, context: dict[str, str] | None, factor_of: Factor) -> Tariff | None:
    if provider.PRICE_ID is None:
        return None
    from genai_prices import Usage as Tokens
    from genai_prices import calc_price

    def of_request(input_tokens: int) -> PriceCalculation:
        tokens = Tokens(input_tokens=input_tokens, output_tokens=1)
        return calc_price(tokens, model, provider_id=provider.PRICE_ID, price_context=context)

    try:
        small = of_request(1)
    except LookupError:
        return None
    if small.model_price.input_mtok is None:  # billed by the hour or by the character
        return None
    factor, origin = factor_of(small.model, provider)
    steps = ((above, _a_million(of_request(above + 1), above + 1, factor)) for above in _thresholds(small))
    return Tariff(origin, tuple(steps))


def _factor(model: ModelInfo, provider: Provider) -> tuple[float, str]:
    if _has_batch_price(model):
        return 1.0, "genai-prices' batch price"
    if provider.BATCH_PRICE_FACTOR == 1:
        return 1.0, "genai-prices' list price"
    return provider.BATCH_PRICE_FACTOR, f"genai-prices' list price times {provider.BATCH_PRICE_FACTOR:g}"


def _has_batch_price(model: ModelInfo) -> bool:
    """A batch price without figures is the list price, said to be the price of batches."""
    now = datetime.now(UTC)
    return any(
        variant.when == BATCH and (variant.constraint is None or variant.constraint.active(now))
        for variant in model.price_variants or ()
    )


def _thresholds(calculated: PriceCalculation) -> list[int]:
    prices = (calculated.model_price.input_mtok, calculated.model_price.output_mtok)
    return sorted({0, *(tier.start for price in prices for tier in getattr(price, "tiers", ()))})


def _a_million(calculated: PriceCalculation, input_tokens: int, factor: float) -> Price:
    inward = float(calculated.input_price * 1_000_000 / input_tokens)
    return Price(inward * factor, float(calculated.output_price * 1_000_000) * factor)


def _mean(weights: Mapping[Price, int], field: str) -> float:
    total = sum(float(getattr(price, field)) * weight for price, weight in weights.items())
    return total / sum(weights.values())
