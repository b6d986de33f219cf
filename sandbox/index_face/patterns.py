"""What is left of a JSON value: by `_source` with includes and excludes, and by `filter_path`."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


@lru_cache(maxsize=256)
def _one_of(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(re.escape(pattern).replace(r"\*", ".*") for pattern in patterns), re.DOTALL)


def as_list(given: Any) -> list[Any]:
    return list(given) if isinstance(given, list | tuple) else [given]


def kept(value: dict[str, Any], includes: Iterable[str], excludes: Iterable[str]) -> dict[str, Any]:
    """An include takes all that lies below it, an exclude leaves all of it out. An object in which no include fits
    goes; one that an exclude has emptied stays empty, and goes from a list (XContentMapValues.filter of the server).
    """
    wanted, left_out = tuple(as_list(includes)), tuple(as_list(excludes))
    return _object(value, "", _one_of(wanted) if wanted else None, _one_of(left_out) if left_out else None)


def _object(
    value: dict[str, Any], above: str, wanted: re.Pattern[str] | None, left_out: re.Pattern[str] | None
) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, item in value.items():
        path = above + name
        if left_out and left_out.fullmatch(path):
            continue
        below = None if wanted is None or wanted.fullmatch(path) else wanted
        if below is None and left_out is None:
            made[name] = item
        elif isinstance(item, dict):
            if (part := _object(item, f"{path}.", below, left_out)) or below is None:
                made[name] = part
        elif isinstance(item, list) and any(isinstance(each, dict) for each in item):
            parts = [_object(each, f"{path}.", below, left_out) for each in item if isinstance(each, dict)]
            if (parts := [part for part in parts if part]) or below is None:
                made[name] = parts
        elif below is None:
            made[name] = item
    return made


def masked(value: dict[str, Any], includes: Iterable[str], vector_paths: Iterable[str]) -> dict[str, Any]:
    """What 3.x gives in a search for a vector whose parent alone was asked for: 1 in its place."""
    wanted = tuple(as_list(includes))
    hidden = {path for path in vector_paths if "." in path and wanted and not _one_of(wanted).fullmatch(path)}
    return _masked(value, "", hidden) if hidden else value


def without_vectors(value: dict[str, Any], above: str, vector_paths: Iterable[str]) -> Any:
    """An object below a path, with 1 in place of each vector."""
    return _masked(value, above, set(vector_paths))


def _masked(value: Any, above: str, hidden: set[str]) -> Any:
    if isinstance(value, list):
        return [_masked(item, above, hidden) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: 1 if above + name in hidden else _masked(item, f"{above}{name}.", hidden) for name, item in value.items()
    }


def by_filter_path(value: Any, given: str) -> Any:
    """The parts of an answer that `filter_path` names; those with a minus are left out."""
    names = [name for name in given.split(",") if name]
    wanted = [name.split(".") for name in names if not name.startswith("-")]
    left_out = [name[1:].split(".") for name in names if name.startswith("-")]
    made = _filtered(value, wanted) if wanted else value
    return _without(made, left_out) if left_out else made


def _filtered(value: Any, paths: list[list[str]]) -> Any:
    if isinstance(value, list):
        parts = [_filtered(item, paths) if isinstance(item, dict | list) else None for item in value]
        return [part for part in parts if part not in (None, {}, [])]
    made: dict[str, Any] = {}
    for name, item in value.items():
        below: list[list[str]] = []
        is_whole = False
        for path in paths:
            for rest in _steps(path, name):
                is_whole = is_whole or not rest
                below.append(rest)
        if is_whole:
            made[name] = item
        elif below and isinstance(item, dict | list) and (part := _filtered(item, below)):
            made[name] = part
    return made


def _without(value: Any, paths: list[list[str]]) -> Any:
    if isinstance(value, list):
        return [_without(item, paths) for item in value]
    if not isinstance(value, dict):
        return value
    made = {}
    for name, item in value.items():
        below = [rest for path in paths for rest in _steps(path, name)]
        if any(not rest for rest in below):
            continue
        made[name] = _without(item, below) if below else item
    return made


def _steps(path: list[str], name: str) -> list[list[str]]:
    """What of a path is left below this name; `**` stands for any number of names."""
    if not path:
        return []
    if path[0] == "**":
        return [path, *_steps(path[1:], name)]
    # Names with dots in them (settings) take as many parts of the path.
    parts = name.count(".") + 1
    here = ".".join(path[:parts])
    if len(path) >= parts and _one_of((here,)).fullmatch(name):
        return [path[parts:]]
    return [path[1:]] if parts > 1 and _one_of((path[0],)).fullmatch(name) else []
