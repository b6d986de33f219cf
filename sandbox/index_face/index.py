"""One index: settings, mapping, aliases and the shards with its documents."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from typing import Any, Self

from sandbox.index_face import mappings, settings
from sandbox.index_face.documents import GC_DELETES_SECONDS, Document, Shard
from sandbox.index_face.errors import Problem, illegal_argument
from sandbox.index_face.hashing import shard_of
from sandbox.index_face.mappings import Fields, Mapping


def uuid22() -> str:
    """22 URL-safe characters, an upper-case letter among them."""
    while (made := secrets.token_urlsafe(16)).lower() == made:
        continue
    return made


@dataclass(eq=False)
class Index:
    """`term` is the primary term of writes from now on; `histories` are the shards' history_uuid."""

    name: str
    uuid: str
    settings: dict[str, str]
    mapping: Mapping
    aliases: dict[str, dict[str, Any]] = field(default_factory=dict)
    term: int = 1
    histories: list[str] = field(default_factory=list)
    is_closed: bool = False
    shards: list[Shard] = field(default_factory=list)
    changes: list[tuple[int, str, Document | None]] = field(default_factory=list)
    """Written, and not on disk yet."""

    def __post_init__(self) -> None:
        self.fields = Fields(self.mapping)
        count = int(self.settings["index.number_of_shards"])
        self.histories = self.histories or [uuid22() for _ in range(count)]
        self.shards = self.shards or [Shard(number) for number in range(count)]
        routing = self.settings.get("index.number_of_routing_shards")
        self._routing_shards = int(routing) if routing else None

    @classmethod
    def made(cls, name: str, body: dict[str, Any], release: str) -> Self:
        is_3x = release != "2.19.6"
        uuid = uuid22()
        made = settings.first(body.get("settings"), name, uuid, int(time.time() * 1000), release)
        knn = made.get("index.knn") == "true"
        mapping = mappings.first(body.get("mappings"), knn=knn, is_3x=is_3x, limits=settings.limits(made))
        return cls(name, uuid, made, mapping)

    def to_dict(self) -> dict[str, Any]:
        names = ("name", "settings", "mapping", "aliases", "term", "histories", "is_closed")
        return {name: getattr(self, name) for name in names}

    @property
    def copies(self) -> int:
        return 1 + int(self.settings["index.number_of_replicas"])

    @property
    def is_derived(self) -> bool:
        """Vectors are given back as float32, out of the index."""
        return self.settings.get("index.knn.derived_source.enabled") == "true"

    def shard_for(self, id: str, routing: str | None) -> Shard:
        return self.shards[self.number_for(routing if routing is not None else id)]

    def number_for(self, routing: str) -> int:
        return shard_of(routing, len(self.shards), self._routing_shards)

    def grow(self, change: Any, *, is_3x: bool) -> None:
        knn = self.settings.get("index.knn") == "true"
        self.mapping = mappings.grown(self.mapping, change, knn=knn, is_3x=is_3x, limits=settings.limits(self.settings))
        self.fields = Fields(self.mapping)

    def refresh(self, after_seconds: float = 0) -> None:
        for shard in self.shards:
            shard.refresh(after_seconds)
            shard.forget_deleted(self.gc_seconds)

    @property
    def gc_seconds(self) -> float:
        """How long the version of a deleted document is kept."""
        given = self.settings.get("index.gc_deletes")
        if given is None:
            return GC_DELETES_SECONDS
        problem = f"failed to parse setting [index.gc_deletes] with value [{given}]"
        return settings.seconds(given, lambda: illegal_argument(problem))

    def refresh_as_set(self) -> None:
        """As a server does by itself, a second after a write if nothing else is set."""
        interval = self.settings.get("index.refresh_interval", "1s")
        if interval != "-1":
            self.refresh(settings.seconds(interval, lambda: illegal_argument(f"refresh_interval [{interval}]")))

    def blocked(self, *, of_documents: bool = True) -> Problem | None:
        """Why nothing can be written: a document, or else the index's own aliases, which a block of writes leaves."""
        for name, (status, words) in settings.BLOCKS.items():
            if self.settings.get(name) == "true" and (of_documents or name != "index.blocks.write"):
                return Problem(status, "cluster_block_exception", f"index [{self.name}] blocked by: [{words}];")
        return None
