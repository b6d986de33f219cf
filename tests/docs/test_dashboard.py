"""The Grafana dashboard and the page of metrics name the metrics that there are, with the tags that they have."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from opensearch_batch.land.metric_names import METRICS

DOCS = Path(__file__).resolve().parents[2] / "docs"
DASHBOARD: dict[str, Any] = json.loads((DOCS / "grafana" / "opensearch-batch.json").read_text(encoding="utf-8"))
NAME = re.compile(r"\bairflow_opensearch_batch_(\w+)")
TAGS = (
    re.compile(r"\bby \(([^)]+)\)"),
    re.compile(r"[{,] *(\w+) *[=!]~?"),
    re.compile(r"\{\{(\w+)\}\}"),
    re.compile(r"label_values\(\w+, (\w+)\)"),
)


def queries() -> Iterator[str]:
    """Each with the tags of its legend behind it."""
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", []):
            yield f"{target['expr']} {target['legendFormat']}"
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["query"]["query"]


def named(query: str) -> set[str]:
    """The metrics; a timer comes as a sum and a count."""
    return {_metric(name) for name in NAME.findall(query)}


def _metric(name: str) -> str:
    base, _, end = name.rpartition("_")
    return base if end in ("sum", "count") and METRICS.get(base, METRICS["rows"]).kind == "timer" else name


def tags(query: str) -> set[str]:
    found = (match for pattern in TAGS for match in pattern.findall(query))
    return {tag.strip() for match in found for tag in match.split(",")}


def test_the_dashboard_shows_each_metric_and_no_other() -> None:
    assert set().union(*map(named, queries())) == set(METRICS)


def test_a_query_asks_for_tags_that_its_metric_has() -> None:
    unknown = {
        query: missing
        for query in queries()
        for name in named(query)
        if (missing := tags(query) - set(METRICS[name].tags))
    }
    assert unknown == {}


def test_tags_are_found_where_queries_have_them() -> None:
    """The search above would also pass if it found none."""
    asked = 'sum by (outcome, model) (airflow_opensearch_batch_rows{dag_id=~"$dag", code!="a"}) {{provider}}'
    assert tags(asked) == {"outcome", "model", "dag_id", "code", "provider"}
    assert set().union(*map(tags, queries())) >= {"dag_id", "outcome", "code", "model", "provider"}


def test_no_two_panels_have_one_number() -> None:
    numbers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert sorted({*numbers}) == sorted(numbers)


def test_the_page_has_each_metric_with_its_own_tags() -> None:
    rows = re.findall(r"^\| `opensearch_batch\.(\w+)` \|(.*)\|$", (DOCS / "how-to" / "metrics.md").read_text(), re.M)
    assert [name for name, _ in rows] == list(METRICS)
    shared = {"dag_id", "provider", "model"}
    short = {
        name: missing
        for name, text in rows
        if (missing := {tag for tag in METRICS[name].tags if tag not in shared or METRICS[name].kind != "counter"}
            - {*re.findall(r"`(\w+)`", text)})
    }  # fmt: skip
    assert short == {}
