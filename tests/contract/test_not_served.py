"""What the sandbox does not serve answers 501, and sandbox/README.md lists it: each line of it is asked for here."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.contract.cluster import KEY, ML, Cluster, connector
from tests.contract.conftest import Provider

FOLDER = Path(__file__).parents[2] / "sandbox"
LISTED: list[str] = re.findall(
    r"^- (.+(?:\n  .+)*)$", (FOLDER / "README.md").read_text().partition("## What it does not serve")[2], re.MULTILINE
)


@dataclass(frozen=True)
class Asked:
    """A call that is not served; `prepare` gives what stands for {model} or {task} in the path."""

    line: str
    method: str
    path: str
    body: Any = None
    prepare: Callable[[Cluster, Provider], dict[str, str]] = lambda cluster, provider: {}


CHANCE = {"random_score": {"field": "_seq_no", "seed": "text"}, "boost_mode": "replace"}


def model(**changes: Any) -> Callable[[Cluster, Provider], dict[str, str]]:
    return lambda cluster, provider: {"model": cluster.model(cluster.connector(**changes))}


def with_function(
    action: int, which: str, name: str = "connector.of.another.provider"
) -> Callable[[Cluster, Provider], dict[str, str]]:
    def prepare(cluster: Cluster, provider: Provider) -> dict[str, str]:
        actions = connector(cluster.url)["actions"]
        actions[action][which] = name
        return {"model": cluster.model(cluster.connector(actions=actions))}

    return prepare


def named(start: str) -> str:
    """The line of the list that begins so."""
    return next(line for line in LISTED if line.startswith(start))


def index(cluster: Cluster, provider: Provider) -> dict[str, str]:
    """One with a vector and nested objects."""
    vector = {"type": "knn_vector", "dimension": 2}
    properties = {"v": vector, "day": {"type": "date"}, "chunks": {"type": "nested"}}
    assert cluster.raw("PUT", "/books", {"mappings": {"properties": properties}})[0] == 200
    return {}


def search(line: str, **body: Any) -> Asked:
    return Asked(named(line), "POST", "/books/_search", body, index)


SEARCH = f"{ML}/models/_search"
TEXTS = {"parameters": {"input": ["a"]}}
ASKED = [
    Asked(named("any other path"), "GET", f"{ML}/agents/x"),
    Asked(named("any other path"), "GET", "/_cat/plugins"),
    Asked(named("any other path"), "GET", "/v1/fine_tuning/jobs"),
    Asked(
        named("connectors of the protocol"),
        "POST",
        f"{ML}/connectors/_create",
        connector("http://127.0.0.1:9", protocol="mcp_sse"),
    ),
    Asked(
        named("pre- and post-process"),
        "POST",
        f"{ML}/models/{{model}}/_batch_predict",
        TEXTS,
        with_function(1, "post_process_function"),
    ),
    Asked(
        named("the pre-process"),
        "POST",
        f"{ML}/models/{{model}}/_predict",
        {"text_docs": ["a"]},
        with_function(0, "pre_process_function"),
    ),
    Asked(
        named("the pre-process"),
        "POST",
        f"{ML}/models/{{model}}/_predict",
        TEXTS,
        with_function(0, "post_process_function"),
    ),
    Asked(
        named("more than one text"),
        "POST",
        f"{ML}/models/{{model}}/_predict",
        {"text_docs": ["a", "b"]},
        with_function(0, "pre_process_function", "connector.pre_process.bedrock.embedding"),
    ),
    Asked(
        named("models with function_name"),
        "POST",
        f"{ML}/models/_register",
        {"name": "m", "function_name": "TEXT_EMBEDDING"},
    ),
    Asked(
        named("models with a connector"),
        "POST",
        f"{ML}/models/_register",
        {"name": "m", "function_name": "remote", "connector": {}},
    ),
    Asked(named("fields in an update"), "PUT", f"{ML}/models/{{model}}", {"rate_limiter": {}}, model()),
    Asked(
        named("the action of a predict"), "POST", f"{ML}/models/{{model}}/_predict", {"action_type": "EXECUTE"}, model()
    ),
    Asked(
        named("dead letter queues"),
        "POST",
        f"{ML}/models/{{model}}/_batch_predict",
        {"parameters": {}, "dlq": {"bucket": "b", "region": "r"}},
        model(),
    ),
    Asked(named("the setting"), "PUT", "/_cluster/settings", {"persistent": {"plugins.ml_commons.other": 1}}),
    Asked(named("anything beside"), "PUT", "/_cluster/settings", {"defaults": {}}),
    Asked(named("aggregations"), "POST", SEARCH, {"aggs": {"a": {}}}),
    Asked(named("the query"), "POST", SEARCH, {"query": {"fuzzy": {"name": "m"}}}, model()),
    Asked(named("boost"), "POST", SEARCH, {"query": {"bool": {"boost": 1}}}, model()),
    Asked(named("sorting"), "POST", f"{ML}/connectors/_search", {"sort": ["parameters"]}, model()),
    Asked(named("a _source"), "POST", SEARCH, {"_source": {"excludes": ["name"]}}, model()),
    Asked(named("patterns"), "POST", SEARCH, {"_source": ["name*"]}, model()),
    Asked(named("pipelines"), "POST", "/_bulk?pipeline=p", {}, index),
    Asked(named("pipelines"), "POST", "/books/_update/1", {"script": {"source": "ctx.op = 'noop'"}}, index),
    Asked(named("include_defaults"), "GET", "/books/_settings?include_defaults=true", prepare=index),
    Asked(named("the alias action"), "POST", "/_aliases", {"actions": [{"rename": {"index": "books"}}]}, index),
    Asked(named("what is not known"), "GET", "/books/_search?scroll=1m", prepare=index),
    Asked(named("dynamic_templates"), "PUT", "/books", {"mappings": {"dynamic_templates": []}}),
    search("min_score", query={"knn": {"v": {"vector": [1, 2], "min_score": 0.5}}}),
    search("the script of", query={"script_score": {"script": {"source": "1.0"}}}),
    search("the query [wildcard]", query={"wildcard": {"title": "m*"}}),
    search("fuzziness", query={"match": {"title": {"query": "m", "fuzziness": 1}}}),
    search("from, to", query={"range": {"day": {"from": "2026-01-01"}}}),
    search("date math", query={"range": {"day": {"gte": "now/d"}}}),
    search("_name and the like", query={"nested": {"path": "chunks", "query": {"match_all": {}}, "_name": "n"}}),
    search(
        "all but name, from, size",
        query={"nested": {"path": "chunks", "query": {"match_all": {}}, "inner_hits": {"explain": True}}},
    ),
    search("aggregations and what else a body names in a search of documents", aggs={"a": {}}),
    Asked(named("all but the query"), "POST", "/books/_count", {"aggs": {}}, index),
    Asked(named("versions and"), "POST", "/books/_mget", {"docs": [{"_id": "1", "version": 1}]}, index),
    search("format and the like in a sort", sort=[{"day": {"order": "asc", "format": "yyyy"}}]),
    Asked(named("all but docs"), "GET", "/books/_stats/merge", prepare=index),
    Asked(named("all but os"), "GET", "/_nodes/stats/process"),
    Asked(named("all but os"), "GET", "/_plugins/_knn/stats/hit_count"),
    Asked(named("a function_score"), "POST", "/books/_search", {"query": {"function_score": {"functions": []}}}, index),
    Asked(named("a random_score"), "POST", "/books/_search", {"query": {"function_score": CHANCE}}, index),
    Asked(named("slices by"), "POST", "/_search", {"pit": {"id": "p"}, "slice": {"id": 0, "max": 2, "field": "n"}}),
    Asked(named("streamed"), "POST", "/v1/chat/completions", {"model": "gpt-4o-mini", "messages": [], "stream": True}),
    Asked(
        named("batches for"),
        "POST",
        "/v1/batches",
        {"input_file_id": "f", "endpoint": "/v1/moderations", "completion_window": "24h"},
    ),
]


@pytest.mark.parametrize("asked", ASKED, ids=[f"{index} {one.line[:40]}" for index, one in enumerate(ASKED)])
def test_it_answers_501(cluster: Cluster, provider: Provider, asked: Asked) -> None:
    path = asked.path.format(**asked.prepare(cluster, provider))
    status, answer = cluster.raw(asked.method, path, asked.body, {"Authorization": f"Bearer {KEY}"})
    reason = answer["error"].get("reason") or answer["error"].get("message")
    assert (status, reason.startswith("the sandbox does not ")) == (501, True), answer


def test_each_line_of_the_list_is_asked_for() -> None:
    assert sorted(LISTED) == sorted({one.line for one in ASKED})


def test_each_501_of_the_code_has_a_line() -> None:
    """The longest fixed words of what the code says it does not serve are found in the list."""
    said = [words for path in sorted(FOLDER.rglob("*.py")) for words in _refused(path)]
    assert len(said) >= 15
    assert [words for words in said if not any(words in line for line in LISTED)] == []


def _refused(path: Path) -> list[str]:
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    refusals = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "not_served"]
    return [max(_fixed_words(call.args[0]), key=len) for call in refusals]


def _fixed_words(text: ast.expr) -> list[str]:
    parts = text.values if isinstance(text, ast.JoinedStr) else [text]
    values = [part.value for part in parts if isinstance(part, ast.Constant)]
    return [word.strip(" ;,[]") for value in values for word in str(value).split(";")]
