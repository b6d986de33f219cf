"""The space of a vector field: whether a server can make the field, and whether the nearest vectors are those that the
model means. Pure.

A model does not tell what its vectors are compared by. `cosinesimil` fits all embedding models; `l2` and
`innerproduct` find the same neighbours where all vectors have length 1, and are right elsewhere only for a model that
was trained so. Therefore a space is never refused for a model: `doubt` says what is known, with the figures.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

METHOD: dict[str, Any] = {"name": "hnsw", "engine": "lucene", "space_type": "cosinesimil"}
"""Of a field that nobody has described."""
DEFAULT_ENGINE, DEFAULT_SPACE = "faiss", "l2"
"""Of a mapping that names none, on 2.19 and 3.x."""
BY_ANGLE = "cosinesimil"
ALIKE_AT_LENGTH_1 = ("l2", "innerproduct")
SPACES = {
    "faiss": {BY_ANGLE, *ALIKE_AT_LENGTH_1},
    "lucene": {BY_ANGLE, *ALIKE_AT_LENGTH_1},
    "nmslib": {BY_ANGLE, *ALIKE_AT_LENGTH_1, "l1", "linf"},
}
"""Of vectors of floats, by engine. Others are refused by 2.19.6 and 3.6.0."""
LONGEST = 16_000
"""Numbers of a vector, for each engine: MAX_DIMENSIONS_BY_ENGINE in
https://github.com/opensearch-project/k-NN/blob/main/src/main/java/org/opensearch/knn/index/engine/KNNEngine.java
"""
NMSLIB, WITHOUT_NMSLIB = "nmslib", 3
"""The engine, and the version from which no index is made with it; older indices keep it (same source)."""
TRAINED_METHOD, TRAINED_ENCODER = "ivf", "pq"
"""They learn from vectors first; a mapping names the trained model, not the method."""
VERSION_MASK = 0x08000000
"""Set in `index.version.created` of OpenSearch, not of what was before:
https://github.com/opensearch-project/OpenSearch/blob/main/libs/core/src/main/java/org/opensearch/Version.java
"""
LENGTH_TOLERANCE = 1e-3
"""Of length 1. A length that is so much off moves a cosine as far as parity.least_cosine allows by default."""


@dataclass(frozen=True)
class Lengths:
    """Of so many vectors, the least and the greatest length."""

    vectors: int
    least: float
    greatest: float

    @property
    def are_1(self) -> bool:
        return max(abs(self.least - 1), abs(self.greatest - 1)) <= LENGTH_TOLERANCE


def lengths_of(vectors: Iterable[Sequence[float]]) -> Lengths | None:
    """None of no vector."""
    lengths = [math.hypot(*vector) for vector in vectors]
    return Lengths(len(lengths), min(lengths), max(lengths)) if lengths else None


def engine_of(field: Mapping[str, Any]) -> str:
    """Return the engine of a knn_vector field, by its mapping."""
    return str((field.get("method") or {}).get("engine") or field.get("engine") or DEFAULT_ENGINE).lower()


def space_of(field: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """Return the space type of a knn_vector field, by its mapping and its index's settings: 2.x takes a default from
    there.
    """
    named = (field.get("method") or {}).get("space_type") or field.get("space_type")
    return str(named or settings.get("knn.space_type") or DEFAULT_SPACE).lower()


def created_by(settings: Mapping[str, Any]) -> int | None:
    """Return the major version of OpenSearch that made an index, by its settings; None where they do not tell."""
    created = int((settings.get("version") or {}).get("created") or 0)
    return (created & ~VERSION_MASK) // 1_000_000 if created & VERSION_MASK else None


def refusals(name: str, field: Mapping[str, Any], made_by: int | None = None) -> Iterator[str]:
    """Yield why no server makes a field with this mapping; `name` is said in front. `made_by` is the major version
    that makes it: nmslib is judged by that alone.
    """
    engine, method = engine_of(field), field.get("method") or {}
    space, dimension = space_of(field, {}), int(field.get("dimension") or 1)
    encoder = ((method.get("parameters") or {}).get("encoder") or {}).get("name")
    if dimension > LONGEST:
        yield f"{name} would take vectors of {dimension} numbers, and no engine takes more than {LONGEST}"
    if engine not in SPACES:
        yield f"{name} has the engine {engine!r}; there are {', '.join(sorted(SPACES))}"
    elif space not in SPACES[engine]:
        yield f"{name}: {engine} compares vectors of floats by {_words(SPACES[engine])}, not by {space!r}"
    if engine == NMSLIB and made_by is not None and made_by >= WITHOUT_NMSLIB:
        yield f"{name} has the engine nmslib, with which OpenSearch makes no index from {WITHOUT_NMSLIB}.0 on"
    if method.get("name") == TRAINED_METHOD or encoder == TRAINED_ENCODER:
        yield f"{name}: {TRAINED_METHOD} and {TRAINED_ENCODER} learn from vectors first, and a method does not"


def doubt(name: str, field: Mapping[str, Any], settings: Mapping[str, Any], lengths: Lengths | None) -> str:
    """Return what may be wrong with a field's space for vectors of these lengths, None where they are not known; ""
    where nothing is.
    """
    space = space_of(field, settings)
    if space == BY_ANGLE or (space in ALIKE_AT_LENGTH_1 and lengths is not None and lengths.are_1):
        return ""
    compared = f"{name} compares by {space} ({engine_of(field)})"
    if space not in ALIKE_AT_LENGTH_1:
        return f"{compared}, and embedding models are made for {BY_ANGLE}. {_way_out()}"
    if lengths is None:
        return f"{compared}, which finds what {BY_ANGLE} finds where all vectors have length 1: not known yet"
    return (
        f"{compared}, and the model's vectors have lengths from {lengths.least:.4g} to {lengths.greatest:.4g} "
        f"({lengths.vectors} measured): the nearest are not those of {BY_ANGLE}, which is right only for a model that "
        f"was trained for {space}. {_way_out()}"
    )


def fitting(name: str, field: Mapping[str, Any], settings: Mapping[str, Any], lengths: Lengths | None) -> str:
    """Return why nothing is in doubt."""
    space = space_of(field, settings)
    if space == BY_ANGLE or lengths is None:
        return f"{name} compares by {space} ({engine_of(field)}), which fits every embedding model"
    measured = f"({lengths.vectors} measured)"
    return f"{name} compares by {space} ({engine_of(field)}), and the model's vectors have length 1 {measured}"


def method_line() -> str:
    """What to paste into a spec for a method that all servers take."""
    return f"write_back.method: {json.dumps(METHOD)}"


def _way_out() -> str:
    return f"A field's space is final; write_back.mode: beside makes a new index, with {method_line()}"


def _words(spaces: Iterable[str]) -> str:
    return ", ".join(sorted(spaces))
