"""An index that cannot take the vectors is refused before anything is sent, with the line to paste."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException

from opensearch_batch.pipeline import batch_inference
from tests.index.bench import FIELDS, VECTOR, Cluster, Fill, Index, articles
from tests.sandbox.bench import Server

Night = Callable[..., Fill]
ALIAS_OF_BODY = {"type": "alias", "path": "body"}
COPIED: dict[str, Any] = {
    **FIELDS,
    "title": {"type": "text", "copy_to": "all"},
    "body": {"type": "text", "copy_to": ["all"]},
    "all": {"type": "text"},
}
LINE = re.compile(r"PUT (\S+) (\{.*?\})(?=; |$|\. | lifts)")


def refusal(run: Fill) -> str:
    with pytest.raises(AirflowFailException) as refused:
        run.prepare()
    return str(refused.value)


def without(*names: str) -> dict[str, Any]:
    return {name: found for name, found in FIELDS.items() if name not in names}


def test_fields_that_are_missing_are_made_by_the_printed_lines(cluster: Cluster, night: Night, server: Server) -> None:
    index = cluster.index("bare", fields=without("vector", "vector_provenance"))
    index.add(articles(5))
    run = night()
    run.index = index
    lines = LINE.findall(refusal(run))
    assert len(lines) == 2
    for path, body in lines:
        cluster.ok("PUT", f"/{path}", json.loads(body))
    assert run.through()["written"]["written"] == 5


@pytest.mark.parametrize(
    ("made", "settings", "words"),
    [
        ({"fields": {**FIELDS, "vector": {**VECTOR, "dimension": 4}}}, {}, "takes vectors of 4 numbers"),
        ({"fields": {**FIELDS, "vector": {"type": "float"}}}, {}, "of type float, not knn_vector"),
        ({"fields": without("vector"), "knn": False}, {}, "without index.knn: true"),
        ({"_source": {"excludes": ["vector"]}}, {}, "does not keep all of _source"),
        ({}, {"input": {"text_field": "boddy"}}, "has no field 'boddy'; it has body"),
        ({}, {"input": {"text_field": "vector_provenance"}}, "is an object; name the field in it"),
        ({"fields": {**FIELDS, "all": ALIAS_OF_BODY}}, {"input": {"text_field": "all"}}, "have only 'body': name that"),
        ({"fields": COPIED}, {"input": {"text_field": "all"}}, "have only 'body', 'title': name these"),
        ({"_source": {"excludes": ["bo*"]}}, {}, "keeps 'body' out of _source"),
        ({}, {"input": {"uri": "opensearch://corpus/absent"}}, "no such index"),
        ({}, {"input": {"uri": "opensearch://corpus"}}, "is no opensearch://CONNECTION/INDEX"),
        ({}, {"input": {"uri": "opensearch://nowhere/articles"}}, "nowhere"),
    ],
)
def test_what_is_in_the_way(
    cluster: Cluster, night: Night, server: Server, made: Any, settings: Any, words: str
) -> None:
    index = cluster.index("refused", **made)
    run = night(**settings)
    run.index = index
    assert words in refusal(run)
    assert server.ledger == []
    assert server.uploads() == []


def test_an_index_that_takes_new_documents_only_is_refused(cluster: Cluster, night: Night) -> None:
    settings = {"index": {"knn": True, "append_only.enabled": True}}
    cluster.names.append("appended")
    cluster.ok("PUT", "/appended", {"settings": settings, "mappings": {"properties": FIELDS}})
    run = night()
    run.index = Index(cluster, "appended")
    assert "appended takes new documents only (index.append_only.enabled), which is final" in refusal(run)


def test_a_dag_that_writes_nothing_back_is_refused(index: Index, night: Night) -> None:
    """A DAG whose spec is a template does not know, when it is parsed, that its spec writes back."""
    index.add(articles(3))
    with DAG("files_only", schedule=None) as dag:
        batch_inference("{{ params.spec }}")
    run = night()
    prepare: Any = dag.get_task("prepare_input")
    prepare.spec = run.spec
    with pytest.raises(AirflowFailException, match="no task that writes back"):
        run.run.execute(prepare)
    assert index.vectors == set()


@pytest.mark.parametrize("block", ["write", "read_only", "read_only_allow_delete"])
def test_a_block_is_named_with_the_line_that_lifts_it(cluster: Cluster, index: Index, night: Night, block: str) -> None:
    """A full disk sets the last one."""
    index.add(articles(3))
    cluster.ok("PUT", f"/{index.name}/_settings", {f"index.blocks.{block}": True})
    said = refusal(night())
    path, body = LINE.findall(said)[0]
    assert (path, json.loads(body)) == (f"{index.name}/_settings", {f"index.blocks.{block}": None})
    cluster.ok("PUT", f"/{path}", json.loads(body))
    assert night().through()["written"]["written"] == 3


def test_a_field_that_holds_no_text_is_named(index: Index, night: Night) -> None:
    index.add({**articles(2), "list": {"body": ["one", "two"]}})
    said = refusal(night())
    assert "1 bad row of 3" in said
    assert "document" in said
    assert night("skipping", input={"bad_rows": "skip", "max_bad_fraction": 0.5}).prepare() != []
