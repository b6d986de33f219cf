"""Prices: a run costs what its requests cost, each by its own size; for every model that genai-prices knows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from genai_prices import Usage as Tokens
from genai_prices import calc_price
from genai_prices.data_snapshot import get_snapshot

from opensearch_batch import providers
from opensearch_batch.flow.answers import Usage
from opensearch_batch.prepare.prices import BATCH, MeanPrice, Price, Tariff, tariff_of

LONG = Tariff("a list", ((0, Price(1.0, 10.0)), (272_000, Price(2.0, 15.0))))


def price_of(model: str, *request_tokens: int, provider: str = "openai") -> Price | None:
    tariff = tariff_of(providers.get(provider), model, None)
    if tariff is None:
        return None
    mean = MeanPrice(tariff)
    for tokens in request_tokens or (100,):
        mean.add(tokens, 1)
    return mean.value


def words_of(clause: Any) -> Iterator[str]:
    for value in vars(clause).values():
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            for inner in value:
                yield from words_of(inner)


def names(price_id: str) -> list[str]:
    """A name for every model that genai-prices finds under the vendor's id."""
    vendor = next(vendor for vendor in get_snapshot().providers if vendor.id == price_id)
    found = {
        model.id: next((word for word in (model.id, *words_of(model.match)) if vendor.find_model(word) is model), None)
        for model in vendor.models
    }
    assert None not in found.values(), "each model can be named"
    return [name for name in found.values() if name]


def cost_of_many(tariff: Tariff, requests: int, input_tokens: int, output_tokens: int) -> float:
    mean = MeanPrice(tariff)
    for _ in range(requests):
        mean.add(input_tokens, 1)
    return mean.value.of(Usage(requests * input_tokens, requests * output_tokens))


@pytest.mark.parametrize("vendor", ["openai", "bedrock", "cohere"])
@pytest.mark.parametrize("size", [1000, 272_001, 1_000_000])
def test_a_run_costs_what_the_library_says_of_each_request_for_every_model(vendor: str, size: int) -> None:
    provider = providers.get(vendor)
    priced = 0
    for model in names(provider.PRICE_ID or ""):
        request = Tokens(input_tokens=size, output_tokens=500)
        one = calc_price(request, model, provider_id=provider.PRICE_ID, price_context=BATCH)
        tariff = tariff_of(provider, model, None)
        if tariff is None:
            assert one.model_price.input_mtok is None, f"{model} is billed by the token"
            continue
        factor = provider.BATCH_PRICE_FACTOR if "times" in tariff.origin else 1.0
        assert cost_of_many(tariff, 7, size, 500) == pytest.approx(7 * float(one.total_price) * factor), model
        priced += 1
    assert priced > 5


def test_a_model_with_a_long_context_price_costs_the_short_price_for_short_rows() -> None:
    short, long = price_of("gpt-5.4", 250), price_of("gpt-5.4", 272_001)
    assert short is not None
    assert long is not None
    assert (short.input_usd, long.input_usd) == (1.25, 2.5)


def test_a_batch_price_that_is_the_list_price_is_not_halved() -> None:
    tariff = tariff_of(providers.DEFAULT, "gpt-3.5-turbo-1106", None)
    assert tariff == Tariff("genai-prices' batch price", ((0, Price(1.0, 2.0)),))


def test_without_a_batch_price_the_list_price_is_halved_and_said_so() -> None:
    tariff = tariff_of(providers.DEFAULT, "text-embedding-3-small", None)
    assert tariff == Tariff("genai-prices' list price times 0.5", ((0, Price(0.01, 0.0)),))


def test_a_vendor_without_a_discount_has_the_list_price() -> None:
    tariff = tariff_of(providers.get("cohere"), "embed-v4.0", None)
    assert tariff == Tariff("genai-prices' list price", ((0, Price(0.12, 0.0)),))


def test_each_request_counts_at_the_price_of_its_own_size() -> None:
    mean = MeanPrice(LONG)
    for tokens in (272_000, 272_001, 1):
        mean.add(tokens, 1)
    assert mean.value.of(Usage(544_002, 300)) == pytest.approx(
        (272_000 * 1.0 + 272_001 * 2.0 + 1 + 100 * (10 + 15 + 10)) / 1e6
    )


def test_a_request_of_many_texts_is_as_long_as_all_its_texts() -> None:
    mean = MeanPrice(LONG)
    mean.add(300_000, 2000)
    assert mean.value == Price(2.0, 15.0)


def test_a_run_without_rows_has_the_price_of_a_short_request() -> None:
    assert MeanPrice(LONG).value == Price(1.0, 10.0)


def test_a_given_price_counts_for_all_tokens() -> None:
    tariff = tariff_of(providers.DEFAULT, "no-such-model", 3.0)
    assert tariff == Tariff("limits.usd_per_million_tokens", ((0, Price(3.0, 3.0)),))
    assert Price(3.0, 3.0).of(Usage(1_000_000, 500_000)) == pytest.approx(4.5)


@pytest.mark.parametrize("model", ["my-own-model-v1", "whisper-1", "tts-1"])
def test_a_model_that_nobody_knows_or_that_is_not_billed_by_the_token_has_no_price(model: str) -> None:
    assert price_of(model) is None
