"""An index of a cluster as a person sees it, and a whole run that fills its vectors, step by step."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.sdk import DAG

from opensearch_batch.operators import (
    CheckParityOperator,
    FetchOutputOperator,
    PrepareInputOperator,
    ReportOperator,
    WriteBackOperator,
    WriteChunksOperator,
)
from tests.sandbox.bench import MODEL, Run

if TYPE_CHECKING:
    import httpx

DIMENSIONS = 8
PROVENANCE = {"properties": {name: {"type": "keyword"} for name in ("model", "text_hash", "run")}}
VECTOR: dict[str, Any] = {
    "type": "knn_vector",
    "dimension": DIMENSIONS,
    "method": {"name": "hnsw", "engine": "lucene", "space_type": "cosinesimil"},
}
FIELDS: dict[str, Any] = {
    "title": {"type": "text"},
    "body": {"type": "text"},
    "day": {"type": "date"},
    "vector": VECTOR,
    "vector_provenance": PROVENANCE,
}


@dataclass
class Cluster:
    """Documents of one server; `names` are the indices that a test has made, deleted after it."""

    http: httpx.Client
    version: str
    is_sandbox: bool = False
    names: list[str] = field(default_factory=list)

    def ok(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.http.request(method, path, json=body)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else {}

    def index(
        self, name: str, shards: int = 3, fields: Mapping[str, Any] = FIELDS, knn: bool = True, **mapping: Any
    ) -> Index:
        settings = {"index": {"knn": knn, "number_of_shards": shards, "number_of_replicas": 0}}
        self.names.append(name)
        body = {"settings": settings, "mappings": {"dynamic": "strict", "properties": fields, **mapping}}
        self.ok("PUT", f"/{name}", body)
        return Index(self, name)

    def delete(self, name: str) -> None:
        self.http.delete(f"/{name}")


@dataclass
class Index:
    cluster: Cluster
    name: str

    @property
    def uri(self) -> str:
        return f"opensearch://corpus/{self.name}"

    def add(self, documents: Mapping[str, Mapping[str, Any]], routing: str | None = None) -> None:
        place = {} if routing is None else {"routing": routing}
        lines: list[Any] = []
        for document_id, source in documents.items():
            lines += [{"index": {"_index": self.name, "_id": document_id, **place}}, source]
        content = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        headers = {"Content-Type": "application/x-ndjson"}
        answer = self.cluster.http.post("/_bulk?refresh=true", content=content, headers=headers)
        assert answer.is_success, answer.text
        assert not answer.json()["errors"], answer.text

    def edit(self, document_id: str, **fields: Any) -> None:
        self.cluster.ok("POST", f"/{self.name}/_update/{document_id}", {"doc": fields})

    def never_refresh(self) -> None:
        """No search sees a write from now on, until somebody asks for a refresh."""
        self.cluster.ok("PUT", f"/{self.name}/_settings", {"index.refresh_interval": "-1"})

    def remove(self, document_id: str) -> None:
        self.cluster.ok("DELETE", f"/{self.name}/_doc/{quote(document_id, safe='')}")

    @property
    def hits(self) -> dict[str, dict[str, Any]]:
        """All documents by id, at most 10,000."""
        self.cluster.ok("POST", f"/{self.name}/_refresh")
        body = {"size": 10_000, "seq_no_primary_term": True}
        found = self.cluster.ok("POST", f"/{self.name}/_search", body)["hits"]["hits"]
        return {hit["_id"]: hit for hit in found}

    @property
    def vectors(self) -> set[str]:
        """Ids of the documents that have one."""
        return {name for name, hit in self.hits.items() if "vector" in hit["_source"]}

    @property
    def seq_nos(self) -> dict[str, int]:
        return {name: hit["_seq_no"] for name, hit in self.hits.items()}


def articles(count: int, begin: int = 0) -> dict[str, dict[str, Any]]:
    return {f"a{n}": {"title": f"title {n}", "body": f"the text of article {n}"} for n in range(begin, begin + count)}


@dataclass
class Fill:
    """The tasks of a run that fills an index, by the operators themselves. `between` runs while the batch is out.
    `prepared_by` tells a flow from others of its run.
    """

    run: Run
    index: Index
    model_id: str
    settings: dict[str, Any] = field(default_factory=dict)
    prepared_by: str = "prepare_input"

    @property
    def spec(self) -> dict[str, Any]:
        read = {"uri": self.index.uri, **({} if "prompt" in self._of("input") else {"text_field": "body"})}
        return {
            "name": "fill",
            "model": {"name": MODEL, "parameters": {"dimensions": DIMENSIONS}, **self._of("model")},
            "input": {**read, **self._of("input")},
            "output": {"uri": f"file://{self.run.out}", **self._of("output")},
            "work_uri": f"file://{self.run.folder}/work",
            "write_back": {"vector_field": "vector", **self._of("write_back")},
            "limits": self._of("limits"),
            "wait": self._of("wait"),
            "reuse": self.settings.get("reuse"),
            **({"parity": self._of("parity")} if "parity" in self.settings else {}),
        }

    def _of(self, section: str) -> dict[str, Any]:
        found: dict[str, Any] = self.settings.get(section, {})
        return found

    def prepare(self) -> Any:
        dag = DAG("by_hand", schedule=None)
        return self.run.execute(PrepareInputOperator(task_id=self.prepared_by, spec=self.spec, dag=dag))

    @property
    def plan(self) -> dict[str, Any]:
        found: dict[str, Any] = self.run.xcoms[self.prepared_by, "plan"]
        return found

    def land(self, shards: Any) -> Any:
        outcomes = self.run.wait(self.run.submit(self.model_id, shards))
        return self.run.execute(FetchOutputOperator(task_id="fetch", outcomes=outcomes, spec=self.spec, final=False))

    def write(self, landed: Any) -> list[dict[str, Any]]:
        operator = WriteBackOperator(task_id="write_back", spec=self.spec, landed=landed, plan=self.plan)
        found: list[dict[str, Any]] = self.run.execute(operator)
        return found

    def report(self, landed: Any) -> dict[str, Any]:
        operator = ReportOperator(
            task_id="report",
            planned_by=self.prepared_by,
            landed=[landed] if landed else [],
            written_by=["write_back", "write_reused", "write_chunks"],
            compared_by="check_parity",
            approved_by="approve",
        )
        found: dict[str, Any] = self.run.execute(operator)
        return found

    def compare(self, indices: Sequence[str] | None = None) -> dict[str, Any]:
        operator = CheckParityOperator(task_id="check_parity", spec=self.spec, indices=indices)
        found: dict[str, Any] = self.run.execute(operator)
        return found

    def write_reused(self) -> list[dict[str, Any]]:
        operator = WriteBackOperator(task_id="write_reused", spec=self.spec, plan=self.plan)
        found: list[dict[str, Any]] = self.run.execute(operator)
        return found

    def write_chunks(self, landed: Any) -> list[dict[str, Any]]:
        operator = WriteChunksOperator(task_id="write_chunks", planned_by=self.prepared_by, landed=[landed])
        found: list[dict[str, Any]] = self.run.execute(operator)
        return found

    def through(self, between: Callable[[], None] = lambda: None) -> dict[str, Any]:
        shards = self.prepare()
        landed = self.land(shards) if shards else None
        between()
        if "chunks" in self._of("input"):
            if landed or self.plan.get("reused"):
                self.write_chunks(landed)
            return self.report(landed)
        if landed:
            self.write(landed)
        if self.plan.get("reused"):
            self.write_reused()
        return self.report(landed)


def texts(documents: Iterable[Mapping[str, Any]]) -> set[str]:
    return {document["body"] for document in documents}
