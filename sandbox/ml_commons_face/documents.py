"""The system indices of ML Commons over the sandbox's state, and the answers OpenSearch gives to their writes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandbox.ids import opensearch_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.state import State, Stored

NODE_ID = "sandboxNodeIdAAAAAAAAA"


@dataclass(frozen=True)
class Index:
    """`names_refresh`: 3.x says of an update too that it waited for the refresh, 2.x only of a delete."""

    name: str
    state: State
    names_refresh: bool

    @property
    def exists(self) -> bool:
        return self.state.ever_held(self.name)

    def create(self, body: dict[str, Any]) -> Stored:
        return self.state.put(self.name, opensearch_id(), body)

    def get(self, id: str) -> Stored | None:
        return self.state.get(self.name, id)

    def all(self) -> list[Stored]:
        return self.state.all(self.name)

    def update(self, id: str, change: Callable[[dict[str, Any]], None]) -> Stored | None:
        return self.state.update(self.name, id, change)

    def write(self, id: str, body: dict[str, Any]) -> Stored:
        return self.state.put(self.name, id, body)

    def written(self, stored: Stored) -> dict[str, Any]:
        answer = self._answer(stored.id, "updated", stored.version, stored.seq_no)
        if not self.names_refresh:
            del answer["forced_refresh"]
        return answer

    def delete(self, id: str) -> dict[str, Any]:
        """The answer of a delete, also of a document that is not there."""
        old = self.state.delete(self.name, id)
        if old is None:
            return self._answer(id, "not_found", 1, 0)
        return self._answer(id, "deleted", old.version + 1, old.seq_no + 1)

    def _answer(self, id: str, result: str, version: int, seq_no: int) -> dict[str, Any]:
        return {
            "_index": self.name,
            "_id": id,
            "_version": version,
            "result": result,
            "forced_refresh": True,
            "_shards": {"total": 1, "successful": 1, "failed": 0},
            "_seq_no": seq_no,
            "_primary_term": 1,
        }


@dataclass(frozen=True)
class Indices:
    connectors: Index
    groups: Index
    models: Index
    tasks: Index


def indices(state: State, *, is_3x: bool) -> Indices:
    names = (".plugins-ml-connector", ".plugins-ml-model-group", ".plugins-ml-model", ".plugins-ml-task")
    connectors, groups, models, tasks = (Index(name, state, is_3x) for name in names)
    return Indices(connectors, groups, models, tasks)


def now_ms() -> int:
    return int(time.time() * 1000)


def visible(body: dict[str, Any]) -> dict[str, Any]:
    """Without the credential and the sandbox's own notes, which never leave it."""
    return {key: value for key, value in body.items() if key != "credential" and not key.startswith("_")}
