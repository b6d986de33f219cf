"""`_aliases`: all of its actions, or none; and `_alias`, which lists them."""

from __future__ import annotations

import copy
import fnmatch
from typing import TYPE_CHECKING, Any

from sandbox.index_face.call import Answer, Call
from sandbox.index_face.errors import Problem, illegal_argument, invalid_request, not_served

if TYPE_CHECKING:
    from sandbox.index_face.catalog import Catalog
    from sandbox.index_face.index import Index

WORDS = frozenset({
    "index", "indices", "alias", "aliases", "filter", "routing", "index_routing", "search_routing",
    "is_write_index", "must_exist", "is_hidden",
})  # fmt: skip
Changed = dict[str, dict[str, dict[str, Any]]]
"""The aliases of each index."""


class Aliases:
    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def change(self, call: Call) -> Answer:
        call.check_params("timeout", "cluster_manager_timeout", "master_timeout")
        asked = call.body().get("actions")
        if not asked:
            raise invalid_request("Must specify at least one alias action")
        changed: Changed = {name: copy.deepcopy(index.aliases) for name, index in self._catalog.by_name.items()}
        removed: set[str] = set()
        actions = [next(iter(each.items())) for each in asked]
        for kind, given in actions:
            if kind == "remove_index":
                removed |= {index.name for index in self._indices(given)}
        for kind, given in actions:
            for index in self._indices(given) if kind != "remove_index" else []:
                if problem := index.blocked(of_documents=False):
                    raise problem
            self._apply(kind, given, changed, removed)
        self._check(changed, removed)
        for name in removed:
            self._catalog.delete(self._catalog.by_name[name])
        for name, index in self._catalog.by_name.items():
            if index.aliases != changed[name]:
                index.aliases = changed[name]
                self._catalog.save(index)
        return Answer(200, {"acknowledged": True})

    def _apply(self, kind: str, given: dict[str, Any], changed: Changed, removed: set[str]) -> None:
        if unknown := sorted(set(given) - WORDS):
            raise Problem(400, "x_content_parse_exception", f"[{kind}] unknown field [{unknown[0]}]")
        if kind == "remove_index":
            return
        if kind not in ("add", "remove"):
            raise not_served(f"the alias action [{kind}]")
        names = given.get("aliases") or [given.get("alias")]
        names = names if isinstance(names, list) else [names]
        indices = self._indices(given)
        for alias in map(str, names):
            if kind == "add":
                for index in indices:
                    self._add(index, alias, given, changed, removed)
            else:
                held = [name for index in indices for name in changed[index.name] if fnmatch.fnmatchcase(name, alias)]
                if not held and given.get("must_exist"):
                    more = {"resource.id": alias, "resource.type": "aliases"}
                    raise Problem(404, "aliases_not_found_exception", f"aliases [{alias}] missing", more)
                for index in indices:
                    for name in held:
                        changed[index.name].pop(name, None)

    def _add(self, index: Index, alias: str, given: dict[str, Any], changed: Changed, removed: set[str]) -> None:
        if (there := self._catalog.by_name.get(alias)) and alias not in removed:
            reason = f"Invalid alias name [{alias}], an index exists with the same name as the alias"
            more = {"index": alias, "index_uuid": there.uuid}
            raise Problem(400, "invalid_alias_name_exception", reason, more)
        self._catalog.check_name(alias)
        both = given.get("routing")
        words = {
            "filter": given.get("filter"),
            "index_routing": given.get("index_routing", both),
            "search_routing": given.get("search_routing", both),
            "is_write_index": given.get("is_write_index"),
        }
        changed[index.name][alias] = {name: value for name, value in words.items() if value is not None}

    def _check(self, changed: Changed, removed: set[str]) -> None:
        names = {alias for name, held in changed.items() if name not in removed for alias in held}
        for alias in names:
            writers = [
                name
                for name, held in changed.items()
                if name not in removed and held.get(alias, {}).get("is_write_index")
            ]
            if len(writers) > 1:
                shown = ",".join(sorted(writers, reverse=True))
                reason = f"alias [{alias}] has more than one write index [{shown}]"
                raise Problem(500, "illegal_state_exception", reason)

    def _indices(self, given: dict[str, Any]) -> list[Index]:
        names = given.get("indices") or [given.get("index")]
        if names == [None]:
            raise illegal_argument("One of [index] or [indices] is required")
        expression = ",".join(names if isinstance(names, list) else [names])
        return self._catalog.named(expression)

    def get(self, call: Call, expression: str | None, alias: str | None) -> Answer:
        """The aliases of these indices, those of this name alone where one is given."""
        call.check_params("ignore_unavailable", "allow_no_indices", "expand_wildcards", "local")
        indices = self._catalog.named(expression or "_all", expand=call.params.get("expand_wildcards", "all"))
        if alias is None:
            return Answer(200, {index.name: {"aliases": index.aliases} for index in indices})
        patterns = alias.split(",")
        found = {}
        for index in indices:
            held = {name: rule for name, rule in index.aliases.items() if _is_one(name, patterns)}
            if held:
                found[index.name] = {"aliases": held}
        every = {name for each in found.values() for name in each["aliases"]}
        missing = [name for name in patterns if "*" not in name and name not in every and name != "_all"]
        if missing:
            words = f"alias [{','.join(missing)}] missing" if len(missing) == 1 else f"aliases {missing} missing"
            return Answer(404, {"error": words, "status": 404, **found})
        return Answer(200, found)

    def exists(self, call: Call, expression: str | None, alias: str) -> Answer:
        return Answer(self.get(call, expression, alias).status)


def _is_one(name: str, patterns: list[str]) -> bool:
    return any(pattern == "_all" or fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
