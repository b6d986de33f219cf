"""The OpenSearch REST API of whole indices and aliases as values. Every function returns a Call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from opensearch_batch.cluster.ml_commons import Call


@dataclass(frozen=True)
class Held:
    """A document asked for by id, with what a write to it needs. `source` is None where there is none; `error` says why
    it could not be read.
    """

    source: dict[str, Any] | None
    version: int = 0
    seq_no: int = -1
    primary_term: int = 0
    error: str = ""


def held_documents(wanted: Sequence[Mapping[str, Any]]) -> Call:
    """Get documents by {_index, _id, routing, _source}; parses to Held in the same order."""
    return Call("get documents with versions", "POST", "/_mget", {"docs": list(wanted)}, _held, "read")


def change_aliases(alias: str, actions: Sequence[Mapping[str, Any]]) -> Call:
    """All actions are done, or none."""
    return Call(f"move alias {alias}", "POST", "/_aliases", {"actions": list(actions)})


def set_index(index: str, settings: Mapping[str, Any]) -> Call:
    return Call(f"change settings of {index}", "PUT", f"/{_path(index)}/_settings", settings)


def delete_index(index: str) -> Call:
    return Call(f"delete index {index}", "DELETE", f"/{_path(index)}")


def _path(name: str) -> str:
    return quote(name, safe="-_.")


def _held(answer: Any) -> list[Held]:
    return [_one(document) for document in answer["docs"]]


def _one(document: Mapping[str, Any]) -> Held:
    if error := document.get("error"):
        return Held(None, error=f"{error.get('type')}: {error.get('reason')}")
    if not document.get("found"):
        return Held(None)
    numbers = (document["_version"], document["_seq_no"], document["_primary_term"])
    return Held(document.get("_source", {}), *numbers)
