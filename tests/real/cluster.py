"""A real cluster as a person with all rights sees it: what is stored, and how to leave it as it was."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from stack.opensearch.node import Node
from tests.patience import eventually

if TYPE_CHECKING:
    import httpx

ML = "/_plugins/_ml"


@dataclass(frozen=True)
class Cluster:
    node: Node
    client: httpx.Client

    @property
    def url(self) -> str:
        return self.node.url

    def ok(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of a 2xx answer."""
        answer = self.client.request(method, path, json=body)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def hits(self, kind: str, query: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """Of a `_search`: `_id` and `_source`, at most 200."""
        body = {"size": 200, "query": query or {"match_all": {}}}
        found: list[dict[str, Any]] = self.ok("POST", f"{ML}/{kind}/_search", body)["hits"]["hits"]
        return found

    def stored_task(self, task_id: str) -> dict[str, Any]:
        """Its document. The provider is not asked, as a GET of the task would."""
        [hit] = self.hits("tasks", {"ids": {"values": [task_id]}})
        source: dict[str, Any] = hit["_source"]
        return source

    def set(self, **settings: Any) -> None:
        """Persistent settings below plugins.ml_commons, with `__` for a point; None gives a default back."""
        named = {f"plugins.ml_commons.{name.replace('__', '.')}": value for name, value in settings.items()}
        self.ok("PUT", "/_cluster/settings", {"persistent": named})

    def _undeploy(self, model_id: str) -> bool:
        """Whether the document says so: _undeploy answers before, and a deploy that ends after it makes it undone."""
        self.ok("POST", f"{ML}/models/{model_id}/_undeploy")
        state = self.ok("GET", f"{ML}/models/{model_id}")["model_state"]
        return state not in ("DEPLOYED", "PARTIALLY_DEPLOYED", "DEPLOYING")

    def forget(self) -> None:
        """Undeploy and delete all models, connectors and groups. A running task can't be deleted."""
        for hit in self.hits("models"):
            eventually("undeployed", partial(self._undeploy, hit["_id"]))
            self._delete(f"{ML}/models/{hit['_id']}")
        for kind in ("connectors", "model_groups"):
            for hit in self.hits(kind):
                self._delete(f"{ML}/{kind}/{hit['_id']}")

    def _delete(self, path: str) -> None:
        """A search of the cluster's own, behind by a second, may still show a model that is gone."""
        eventually(f"DELETE {path}", lambda: self.client.delete(path).status_code in (200, 404))
