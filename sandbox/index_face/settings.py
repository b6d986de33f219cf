"""Settings of an index: kept flat, every value as text, given back as a tree or flat."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandbox.index_face.errors import Problem, illegal_argument

if TYPE_CHECKING:
    from collections.abc import Callable

FINAL = {"index.knn", "index.knn.derived_source.enabled"}
STATIC = FINAL | {"index.number_of_shards", "index.number_of_routing_shards"}
BLOCKS = {
    "index.blocks.read_only": (403, "FORBIDDEN/5/index read-only (api)"),
    "index.blocks.write": (403, "FORBIDDEN/8/index write (api)"),
    "index.blocks.read_only_allow_delete": (
        429,
        "TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, index has read-only-allow-delete block",
    ),
}
VERSIONS = {"2.19.6": "136408427", "3.6.0": "137277827"}
SECONDS = {"nanos": 1e-9, "micros": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def flat(given: Any, prefix: str = "") -> dict[str, str | None]:
    """Names in full, with `index.` in front; None takes a setting away."""
    found: dict[str, str | None] = {}
    for key, value in (given or {}).items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            found |= flat(value, f"{name}.")
        elif isinstance(value, list):
            found[name] = ",".join(map(text, value))
        else:
            found[name] = None if value is None else text(value)
    if prefix:
        return found
    return {name if name.startswith("index.") else f"index.{name}": value for name, value in found.items()}


def text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def first(given: Any, name: str, uuid: str, created_ms: int, release: str) -> dict[str, str]:
    """Of a new index, those that the server writes included."""
    asked = {key: value for key, value in flat(given).items() if value is not None}
    _check(asked)
    made = {"index.number_of_shards": "1", "index.number_of_replicas": "1", "index.replication.type": "DOCUMENT"}
    made |= asked
    if made.get("index.knn") == "true" and release != "2.19.6":
        made = {
            "index.knn.derived_source.enabled": "true",
            "index.merge.policy.floor_segment": "2mb",
            "index.merge.policy.max_merge_at_once": "10",
        } | made
    return made | {
        "index.creation_date": str(created_ms),
        "index.provided_name": name,
        "index.uuid": uuid,
        "index.version.created": VERSIONS[release],
    }


def changed(old: dict[str, str], given: Any, name: str, uuid: str, *, is_closed: bool, is_3x: bool) -> dict[str, str]:
    asked = flat(given)
    _check({key: value for key, value in asked.items() if value is not None})
    if fixed := sorted(FINAL & set(asked)):
        if is_closed:
            reason = f"final {name} setting [{fixed[0]}], not updateable"
            raise Problem(400, "settings_exception" if is_3x else "illegal_argument_exception", reason)
        raise _not_dynamic(fixed, name, uuid)
    if not is_closed and (fixed := sorted(STATIC & set(asked))):
        raise _not_dynamic(fixed, name, uuid)
    made = dict(old)
    for key, value in asked.items():
        if value is None:
            made.pop(key, None)
        else:
            made[key] = value
    return made


def _not_dynamic(names: list[str], index: str, uuid: str) -> Problem:
    return illegal_argument(
        f"Can't update non dynamic settings [[{', '.join(names)}]] for open indices [[{index}/{uuid}]]"
    )


def _check(asked: dict[str, str]) -> None:
    numbers = ("index.number_of_shards", "index.number_of_replicas", "index.max_result_window")
    for name in numbers:
        least = 0 if name.endswith("replicas") else 1
        if name not in asked:
            continue
        value = asked[name]
        if not re.fullmatch(r"-?\d+", value):
            raise illegal_argument(f"Failed to parse value [{value}] for setting [{name}]")
        if int(value) < least:
            raise illegal_argument(f"Failed to parse value [{value}] for setting [{name}] must be >= {least}")


def tree(settings: dict[str, str]) -> dict[str, Any]:
    """Where a name is the beginning of another (index.knn), the longer one is not taken apart any further."""
    made: dict[str, Any] = {}
    for name in sorted(settings):
        below, path = made, name.split(".")
        for position, part in enumerate(path):
            rest = ".".join(path[position:])
            if position == len(path) - 1:
                below[part] = settings[name]
            elif isinstance(below.get(part), str):
                head, _, last = rest.rpartition(".")
                below.setdefault(head, {})[last] = settings[name]
                break
            else:
                below = below.setdefault(part, {})
    return made


def shown(settings: dict[str, str], *, is_flat: bool) -> dict[str, Any]:
    return dict(sorted(settings.items())) if is_flat else tree(settings)


@dataclass(frozen=True)
class Limits:
    """How many fields, nested fields and nested objects of a document an index takes."""

    fields: int
    nested_fields: int
    nested_objects: int


def limits(settings: dict[str, str]) -> Limits:
    names = {"total_fields": 1000, "nested_fields": 50, "nested_objects": 10_000}
    return Limits(*(int(settings.get(f"index.mapping.{name}.limit", most)) for name, most in names.items()))


def seconds(given: str, or_else: Callable[[], Problem]) -> float:
    """A time such as 5m; -1 is minus one."""
    if given in ("-1", "0"):
        return float(given)
    found = re.fullmatch(r"(\d+)(nanos|micros|ms|s|m|h|d)", given.strip().lower())
    if not found:
        raise or_else()
    return int(found[1]) * SECONDS[found[2]]
