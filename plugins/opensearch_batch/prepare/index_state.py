"""What keeps an index from taking vectors besides its mapping: another cluster writes it, it lies in a snapshot, or it
takes new documents only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

FOLLOWER = "plugins.replication.follower.leader_index"
APPEND_ONLY = "append_only.enabled"
"""From 2.19 on: https://docs.opensearch.org/latest/im-plugin/append-only-index/"""


def in_the_way(index: str, settings: Mapping[str, Any]) -> Iterator[str]:
    """Yield why nothing can be written, by the settings of an index."""
    if leader := _at(settings, FOLLOWER):
        yield (
            f"{index} follows {leader} of another cluster, and is read-only here: fill {leader} there, or POST "
            f"_plugins/_replication/{index}/_stop {{}} ends the replication"
        )
    if str(_at(settings, APPEND_ONLY)) == "true":
        yield (
            f"{index} takes new documents only (index.{APPEND_ONLY}), which is final, and a vector is an update: copy "
            "the documents into an index without that setting, and fill that, as write_back.mode: beside does"
        )
    if _at(settings, "store.type") == "remote_snapshot":
        yield f"{index} lies in a snapshot and is read-only: restore it, and fill the restored index"


def wrong_kind(index: str, name: str, field: Mapping[str, Any]) -> Iterator[str]:
    """Yield why a vector field does not take what models answer: numbers of a float."""
    kind = str(field.get("data_type", "float")).lower()
    if kind != "float":
        yield (
            f"{index}: {name!r} takes vectors of {kind} ({field['data_type']}), and vectors are written as float. Name "
            "a field of data_type float; compression_level makes its graphs as small"
        )


def _at(settings: Mapping[str, Any], path: str) -> Any:
    """Of a tree in which a part of a path may be one name."""
    for name, value in settings.items():
        if name == path:
            return value
        if path.startswith(f"{name}.") and isinstance(value, Mapping):
            found = _at(value, path[len(name) + 1 :])
            if found is not None:
                return found
    return None


def is_derived(settings: Any) -> bool:
    """Whether vectors are left out of _source. Told as a tree or, where index.knn is a value itself, by the rest of the
    name.
    """
    told = settings.get("knn.derived_source") or {}
    return str(told.get("enabled")) == "true"
