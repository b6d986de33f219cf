"""Rows of text left by a cancelled batch, through real servers: the vendor gets online what the batch's line has."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.real.provider import KEY
from tests.sandbox.bench import Server, lines_of, rows_of
from tests.sandbox.late import IDS, ROWS, figures
from tests.sandbox.test_text_stragglers import AS_RESPONSES, LABELS, asked_online, cut_off, lines_of_batch
from tests.vendors.test_stragglers import CLAUDE_LABELS, CONTAINER_LABELS, NOVA_TEXTS, asked_as_in_the_batch
from tests.vendors.vendors import Vendor

if TYPE_CHECKING:
    from tests.real.by_hand import Use
    from tests.real.cluster import Cluster
    from tests.real.provider import Provider
    from tests.sandbox.bench import Run

HARD = 'Köln "quoted"\n\t\\ </b> $1 {"a": [1]} \U0001f600'
"""What escaping could spoil."""


@pytest.mark.parametrize("provider", ["testnet"], indirect=True)
@pytest.mark.parametrize("model", [LABELS, AS_RESPONSES], ids=["chat", "responses"])
def test_prompt_schema_and_text_reach_the_vendor_as_in_the_batch(
    cluster: Cluster, provider: Provider, use: Use, run: Run, monkeypatch: pytest.MonkeyPatch, model: dict[str, Any]
) -> None:
    use(cluster.url)
    connection = {"conn_type": "openai", "host": f"{provider.url}/v1", "password": KEY}
    monkeypatch.setenv("AIRFLOW_CONN_OPENAI_DEFAULT", json.dumps(connection))
    server = Server(provider.url)
    rows = [{**row, "text": f"{row['text']} {HARD}"} for row in rows_of(ROWS)]
    flow = cut_off(server, run, rows, model={**model, "registered_as": f"texts{model['endpoint'].replace('/', '-')}"})
    report = flow.report(flow.answer())
    assert figures(report) == {"answered": ROWS}
    batch = {row["id"] for part in flow.landed[0]["landed"] for row in lines_of(part["results"]["uri"])}
    asked, lines = asked_online(server, model["endpoint"]), lines_of_batch(flow)
    assert sorted(map(json.dumps, asked)) == sorted(json.dumps(lines[row]) for row in IDS - batch)
    assert {type(row["output"]) for row in run.landed("results").values()} == {dict}
    assert report["stragglers"]["tokens"] > 0


@pytest.mark.parametrize("provider", ["testnet"], indirect=True)
@pytest.mark.parametrize(
    "vendor", [CLAUDE_LABELS, NOVA_TEXTS, CONTAINER_LABELS], ids=lambda vendor: vendor.model["name"]
)
def test_other_vendors_texts_reach_them_as_in_the_batch(
    cluster: Cluster, provider: Provider, use: Use, run: Run, monkeypatch: pytest.MonkeyPatch, vendor: Vendor
) -> None:
    use(cluster.url)
    asked_as_in_the_batch(vendor, Server(provider.url), run, monkeypatch)
