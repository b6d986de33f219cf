"""All indices by name, by alias and by pattern; it keeps them on disk."""

from __future__ import annotations

import fnmatch
import re
from typing import TYPE_CHECKING, Any

from sandbox.index_face.documents import Shard
from sandbox.index_face.errors import Problem, closed, illegal_argument, no_such_index, not_an_alias
from sandbox.index_face.index import Index

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sandbox.index_face.store import Store

BAD_NAME = re.compile(r'[\\/*?"<>| ,#:]')


class Catalog:
    def __init__(self, store: Store, release: str) -> None:
        self._store, self.release = store, release
        self.by_name: dict[str, Index] = {}

    @property
    def is_3x(self) -> bool:
        return self.release != "2.19.6"

    def load(self) -> None:
        """What is on disk. Writes of this run get a new primary term, as after any restart."""
        self.by_name.clear()
        for uuid, body in self._store.indices():
            next_seq = self._store.next_seq_nos(uuid)
            count = int(body["settings"]["index.number_of_shards"])
            shards = [Shard(number, next_seq.get(number, 0)) for number in range(count)]
            for number, document in self._store.documents(uuid):
                shards[number].put(document)
            index = Index(uuid=uuid, shards=shards, **body)
            index.refresh()
            index.term += 1
            self.by_name[index.name] = index
            self.save(index)

    def clear(self) -> None:
        self.by_name.clear()
        self._store.forget()

    def save(self, index: Index) -> None:
        self._store.save(index.uuid, index.to_dict())

    def flush(self, indices: Iterable[Index]) -> None:
        """Put on disk what was written."""
        for index in indices:
            if index.changes and self.by_name.get(index.name) is index:
                touched = {number: index.shards[number].next_seq for number, _, _ in index.changes}
                self._store.write(index.uuid, index.changes, touched)
            index.changes = []

    def create(self, name: str, body: dict[str, Any]) -> Index:
        self.check_name(name)
        if name in self.by_name:
            there = self.by_name[name]
            reason = f"index [{name}/{there.uuid}] already exists"
            raise Problem(400, "resource_already_exists_exception", reason, {"index": name, "index_uuid": there.uuid})
        if self.under_alias(name):
            raise self._bad_name(name, "already exists as alias")
        index = Index.made(name, body, self.release)
        for alias, kept in (body.get("aliases") or {}).items():
            index.aliases[alias] = dict(kept)
        self.by_name[name] = index
        self.save(index)
        return index

    def delete(self, index: Index) -> None:
        del self.by_name[index.name]
        self._store.delete(index.uuid)

    def check_name(self, name: str) -> None:
        if name != name.lower():
            raise self._bad_name(name, "must be lowercase")
        if name.startswith(("_", "-", "+")):
            raise self._bad_name(name, "must not start with '_', '-', or '+'")
        if BAD_NAME.search(name) or name in (".", ".."):
            words = 'must not contain the following characters [ , ", *, \\, <, |, ,, >, /, ?]'
            raise self._bad_name(name, words)

    def _bad_name(self, name: str, words: str) -> Problem:
        more = {"index": name, "index_uuid": "_na_"}
        return Problem(400, "invalid_index_name_exception", f"Invalid index name [{name}], {words}", more)

    def under_alias(self, alias: str) -> list[Index]:
        return [index for _, index in sorted(self.by_name.items()) if alias in index.aliases]

    def named(
        self, expression: str, resource: str = "index_or_alias", *, ignore_missing: bool = False, expand: str = "open"
    ) -> list[Index]:
        """Those that a list of names, aliases and patterns stands for, sorted by name; a name must exist. Patterns
        stand for the states in `expand` alone, the `expand_wildcards` of a call.
        """
        found: dict[str, Index] = {}
        wanted = _states(expand)
        fitting = {
            each: index for each, index in self.by_name.items() if ("closed" if index.is_closed else "open") in wanted
        }
        for name in expression.split(","):
            if name in ("_all", "*", ""):
                found |= {each: index for each, index in fitting.items() if not each.startswith(".")}
            elif "*" in name:
                found |= _matching(name, fitting)
            elif name in self.by_name:
                found[name] = self.by_name[name]
            elif held := self.under_alias(name):
                found |= {index.name: index for index in held}
            elif not ignore_missing:
                raise no_such_index(name, resource)
        return [found[name] for name in sorted(found)]

    def one(self, name: str, resource: str = "index_expression") -> Index:
        """For a single document."""
        if name in self.by_name:
            return self._open(self.by_name[name])
        held = self.under_alias(name)
        if not held:
            raise no_such_index(name, resource)
        if len(held) > 1:
            names = ", ".join(index.name for index in held)
            raise illegal_argument(
                f"alias [{name}] has more than one index associated with it [{names}], can't execute a single index op"
            )
        return self._open(held[0])

    def to_write(self, name: str, *, creates: bool, require_alias: bool = False) -> Index:
        """The index a write goes to; it makes an absent one."""
        if name in self.by_name:
            if require_alias:
                raise not_an_alias(name)
            return self._open(self.by_name[name])
        held = self.under_alias(name)
        if not held:
            if require_alias:
                raise not_an_alias(name)
            if not creates:
                raise no_such_index(name, "index_expression")
            return self.create(name, {})
        chosen = [index for index in held if index.aliases[name].get("is_write_index")]
        if not chosen and len(held) == 1 and held[0].aliases[name].get("is_write_index") is not False:
            chosen = held
        if not chosen:
            raise illegal_argument(
                f"no write index is defined for alias [{name}]. The write index may be explicitly disabled using "
                "is_write_index=false or the alias points to multiple indices without one being designated as a write "
                "index"
            )
        return self._open(chosen[0])

    def _open(self, index: Index) -> Index:
        if index.is_closed:
            raise closed(index.name, index.uuid)
        return index


def _matching(pattern: str, indices: dict[str, Index]) -> dict[str, Index]:
    def fits(index: Index) -> bool:
        return any(fnmatch.fnmatchcase(name, pattern) for name in (index.name, *index.aliases))

    return {name: index for name, index in indices.items() if fits(index)}


def _states(expand: str) -> set[str]:
    """No index is hidden here."""
    words = expand.split(",")
    if unknown := [word for word in words if word not in ("all", "open", "closed", "hidden", "none")]:
        raise illegal_argument(f"No valid expand wildcard value [{unknown[0]}]")
    return {"open", "closed"} if "all" in words else set(words)
