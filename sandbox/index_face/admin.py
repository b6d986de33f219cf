"""Indices themselves: making, reading, changing, closing and deleting them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.index_face import settings
from sandbox.index_face.call import Answer, Call
from sandbox.index_face.errors import Problem, not_served

if TYPE_CHECKING:
    from sandbox.index_face.catalog import Catalog
    from sandbox.index_face.index import Index

WAITS = ("timeout", "cluster_manager_timeout", "master_timeout", "wait_for_active_shards")
NAMES = ("ignore_unavailable", "allow_no_indices", "expand_wildcards", "local", *WAITS)


class Admin:
    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def create(self, call: Call, name: str) -> Answer:
        call.check_params(*WAITS)
        body = call.body()
        if unknown := sorted(set(body) - {"settings", "mappings", "aliases"}):
            raise Problem(400, "parse_exception", f"unknown key [{unknown[0]}] for create index")
        index = self._catalog.create(name, body)
        return Answer(200, {"acknowledged": True, "shards_acknowledged": True, "index": index.name})

    def delete(self, call: Call, expression: str) -> Answer:
        call.check_params(*NAMES)
        for name in expression.split(","):
            if name not in self._catalog.by_name and (held := self._catalog.under_alias(name)):
                reason = (
                    f"The provided expression [{name}] matches an alias, specify the corresponding concrete indices "
                    "instead."
                )
                assert held
                raise Problem(400, "illegal_argument_exception", reason)
        for index in self._named(call, expression, "open,closed"):
            self._catalog.delete(index)
        return Answer(200, {"acknowledged": True})

    def exists(self, call: Call, expression: str) -> Answer:
        call.check_params(*NAMES)
        try:
            found = self._named(call, expression)
        except Problem:
            return Answer(404)
        return Answer(200 if found or "*" in expression else 404)

    def get(self, call: Call, expression: str) -> Answer:
        call.check_params(*NAMES, "flat_settings", "include_defaults")
        self._no_defaults(call)
        is_flat = call.flag("flat_settings")
        found = {}
        for index in self._named(call, expression):
            shown = settings.shown(index.settings, is_flat=is_flat)
            found[index.name] = {"aliases": index.aliases, "mappings": index.mapping, "settings": shown}
        return Answer(200, found)

    def get_mapping(self, call: Call, expression: str) -> Answer:
        call.check_params(*NAMES)
        return Answer(200, {index.name: {"mappings": index.mapping} for index in self._named(call, expression)})

    def put_mapping(self, call: Call, expression: str) -> Answer:
        call.check_params(*NAMES)
        body = call.body()
        indices = self._named(call, expression, "open,closed")
        for index in indices:
            index.grow(body, is_3x=self._catalog.is_3x)
            self._catalog.save(index)
        return Answer(200, {"acknowledged": True})

    def get_settings(self, call: Call, expression: str) -> Answer:
        call.check_params(*NAMES, "flat_settings", "include_defaults")
        self._no_defaults(call)
        is_flat = call.flag("flat_settings")
        indices = self._named(call, expression)
        return Answer(
            200, {index.name: {"settings": settings.shown(index.settings, is_flat=is_flat)} for index in indices}
        )

    def put_settings(self, call: Call, expression: str) -> Answer:
        call.check_params(*NAMES, "preserve_existing")
        given = call.body()
        given = given.get("settings", given)
        is_3x = self._catalog.is_3x
        for index in self._named(call, expression, "open,closed"):
            place = (index.name, index.uuid)
            index.settings = settings.changed(index.settings, given, *place, is_closed=index.is_closed, is_3x=is_3x)
            self._catalog.save(index)
        return Answer(200, {"acknowledged": True})

    def refresh(self, call: Call, expression: str) -> Answer:
        call.check_params(*NAMES)
        indices = self._named(call, expression)
        for index in indices:
            index.refresh()
        return Answer(200, {"_shards": shard_counts(indices)})

    def settle(self, call: Call, expression: str) -> Answer:
        """`_flush` and `_forcemerge`: nothing is to be done."""
        call.check_params(*NAMES, "force", "max_num_segments", "flush", "only_expunge_deletes", "wait_if_ongoing")
        return Answer(200, {"_shards": shard_counts(self._named(call, expression))})

    def close(self, call: Call, expression: str) -> Answer:
        call.check_params(*NAMES)
        indices = self._named(call, expression)
        for index in indices:
            self._turn(index, is_closed=True)
        closed = {index.name: {"closed": True} for index in indices}
        return Answer(200, {"acknowledged": True, "shards_acknowledged": True, "indices": closed})

    def open(self, call: Call, expression: str) -> Answer:
        call.check_params(*NAMES)
        for index in self._named(call, expression, "closed"):
            self._turn(index, is_closed=False)
        return Answer(200, {"acknowledged": True, "shards_acknowledged": True})

    def _turn(self, index: Index, *, is_closed: bool) -> None:
        """Both ways the shards start anew, in another primary term."""
        if index.is_closed != is_closed:
            index.is_closed = is_closed
            index.term += 1
            index.refresh()
            self._catalog.save(index)

    def _named(self, call: Call, expression: str, states: str = "open") -> list[Index]:
        """`states` are those of which a real server takes a pattern for this call where nothing is said."""
        missing, expand = call.flag("ignore_unavailable"), call.params.get("expand_wildcards", states)
        return self._catalog.named(expression, ignore_missing=missing, expand=expand)

    def _no_defaults(self, call: Call) -> None:
        if call.flag("include_defaults"):
            raise not_served("include_defaults of index settings")


def shard_counts(indices: list[Index]) -> dict[str, Any]:
    """Replicas are counted, and are nowhere."""
    there = sum(len(index.shards) for index in indices)
    return {"total": sum(len(index.shards) * index.copies for index in indices), "successful": there, "failed": 0}
