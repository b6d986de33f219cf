"""Valid documents of vendors, spoiled: fields dropped, nulled, retyped, nested or repeated."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

Path = tuple[str | int, ...]

OTHER_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 7, 1.5, 10**30, 1e300, "", "n/a", "12", "2026-11-27T10:00:00Z", "soon", [], [None], [1],
    ["text"], {}, {"a": 1}, [[]], [{}],
)  # fmt: skip


def paths_of(value: Any, above: Path = ()) -> list[Path]:
    """Of everything in a document, itself included."""
    inner: list[Path] = []
    if isinstance(value, dict):
        inner = [path for key, each in value.items() for path in paths_of(each, (*above, key))]
    if isinstance(value, list):
        inner = [path for at, each in enumerate(value) for path in paths_of(each, (*above, at))]
    return [above, *inner]


def at(document: Any, path: Path) -> Any:
    for step in path:
        document = document[step]
    return document


@st.composite
def spoiled(draw: st.DrawFn, document: Any, most: int = 2) -> Any:
    """The document with up to so many things wrong."""
    found = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, most))):
        found = _once(draw, found)
    return found


def _once(draw: st.DrawFn, document: Any) -> Any:
    path = draw(st.sampled_from(paths_of(document)))
    kind = draw(st.sampled_from(("drop", "null", "retype", "nest", "repeat")))
    old = at(document, path)
    if kind == "drop" and path:
        return _without(document, path)
    value = {
        "drop": None,
        "null": None,
        "retype": draw(st.sampled_from(OTHER_VALUES)),
        "nest": draw(st.sampled_from(([old], {"value": old}, {"error": old}, [[old]]))),
        "repeat": old * 2 if isinstance(old, list | str) else [old, old],
    }[kind]
    return _with(document, path, copy.deepcopy(value))


def _with(document: Any, path: Path, value: Any) -> Any:
    if not path:
        return value
    found = copy.deepcopy(document)
    at(found, path[:-1])[path[-1]] = value
    return found


def _without(document: Any, path: Path) -> Any:
    found = copy.deepcopy(document)
    del at(found, path[:-1])[path[-1]]
    return found


def bounded(examples: int) -> settings:
    """The same examples each time; a failing example is not made smaller, which takes longer than all the rest."""
    return settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
