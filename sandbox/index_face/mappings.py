"""Mappings: as they are put, how they grow, and what they say about each field."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from sandbox.index_face.errors import Problem, illegal_argument, not_served, unparsable
from sandbox.index_face.methods import checked

if TYPE_CHECKING:
    from sandbox.index_face.settings import Limits

Mapping = dict[str, Any]

WHOLE = frozenset({"byte", "short", "integer", "long", "unsigned_long"})
BROKEN = frozenset({"float", "double", "half_float", "scaled_float"})
DATES = frozenset({"date", "date_nanos"})
TYPES = WHOLE | BROKEN | DATES | {
    "object", "nested", "keyword", "text", "boolean", "binary", "ip", "knn_vector", "alias", "flat_object",
    "constant_keyword", "wildcard", "match_only_text", "search_as_you_type", "token_count", "geo_point", "geo_shape",
    "completion", "join", "percolator", "rank_feature", "rank_features", "integer_range", "long_range", "float_range",
    "double_range", "date_range", "ip_range", "icu_collation_keyword", "version", "xy_point", "xy_shape", "derived",
}  # fmt: skip
MAX_DIMENSION = 16_000
NO_KNN = "Cannot set modelId or method parameters when index.knn setting is false"


class Fields:
    """What the mapping says, by full name; a field of a field (`title.keyword`) has its parent's name as `of`."""

    def __init__(self, mapping: Mapping) -> None:
        self.types: dict[str, dict[str, Any]] = {}
        self.of: dict[str, str] = {}
        self.nested: set[str] = set()
        self.objects: set[str] = set()
        self._take(mapping.get("properties", {}), "")
        self.vectors = [name for name, field in self.types.items() if field["type"] == "knn_vector"]

    def _take(self, properties: dict[str, Any], prefix: str) -> None:
        for name, field in properties.items():
            path = prefix + name
            kind = type_of(field)
            if kind in ("object", "nested"):
                self.objects.add(path)
                if kind == "nested":
                    self.nested.add(path)
                self._take(field.get("properties", {}), f"{path}.")
                continue
            self.types[path] = field
            for part, sub in field.get("fields", {}).items():
                self.types[f"{path}.{part}"] = sub
                self.of[f"{path}.{part}"] = path

    def nested_above(self, path: str) -> str | None:
        """The nearest nested object that the field lies in."""
        while "." in path:
            path = path.rpartition(".")[0]
            if path in self.nested:
                return path
        return None


def type_of(field: dict[str, Any]) -> str:
    return str(field.get("type", "object"))


def first(given: Any, *, knn: bool, is_3x: bool, limits: Limits) -> Mapping:
    """The mapping of a new index."""
    try:
        return grown({}, given or {}, knn=knn, is_3x=is_3x, limits=limits)
    except Problem as problem:
        caused_by = {key: value for key, value in problem.inner().items() if key != "caused_by"}
        made = unparsable(f"Failed to parse mapping [_doc]: {problem.reason}", caused_by)
        made.roots = [caused_by] if problem.type == made.type else None
        raise made from None


def grown(old: Mapping, change: Any, *, knn: bool, is_3x: bool, limits: Limits) -> Mapping:
    """What a put makes of it: fields are added, `_meta` and the like are replaced whole."""
    if not isinstance(change, dict):
        raise unparsable("Expected map for property [mappings]")
    made = copy.deepcopy(old)
    for key, value in change.items():
        if key == "properties":
            made["properties"] = _merged(made.get("properties", {}), value, "", knn=knn, is_3x=is_3x)
        elif key in ("_meta", "dynamic", "_routing", "_source", "date_detection"):
            made[key] = str(value).lower() if key == "dynamic" else value
        elif key == "dynamic_templates":
            raise not_served("dynamic_templates in a mapping")
        else:
            reason = f"Root mapping definition has unsupported parameters:  [{key} : {value}]"
            raise unparsable(reason)
    if count(made.get("properties", {})) > limits.fields:
        raise illegal_argument(f"Limit of total fields [{limits.fields}] has been exceeded")
    if len(Fields(made).nested) > limits.nested_fields:
        raise illegal_argument(f"Limit of nested fields [{limits.nested_fields}] has been exceeded")
    return made


def count(properties: dict[str, Any]) -> int:
    found = 0
    for field in properties.values():
        found += 1 + len(field.get("fields", {})) + count(field.get("properties", {}))
    return found


def _merged(old: dict[str, Any], change: dict[str, Any], prefix: str, *, knn: bool, is_3x: bool) -> dict[str, Any]:
    made = dict(old)
    for name, given in change.items():
        path = prefix + name
        if not isinstance(given, dict):
            raise unparsable(f"Expected map for property [fields] on field [{name}] but got a class java.lang.String")
        if "." in name:
            head, _, rest = name.partition(".")
            change_below = {head: {"properties": {rest: given}}}
            made = _merged(made, change_below, prefix, knn=knn, is_3x=is_3x)
            continue
        kind = type_of(given)
        if kind not in TYPES:
            raise unparsable(f"No handler for type [{kind}] declared on field [{name}]")
        before = made.get(name)
        if kind in ("object", "nested"):
            made[name] = _object(before, given, path, knn=knn, is_3x=is_3x)
        elif before is not None and type_of(before) != kind:
            raise illegal_argument(f"mapper [{path}] cannot be changed from type [{type_of(before)}] to [{kind}]")
        elif kind == "knn_vector":
            made[name] = _vector(before, given, path, knn=knn, is_3x=is_3x)
        else:
            made[name] = {**(before or {}), **given}
    return made


def _object(before: dict[str, Any] | None, given: dict[str, Any], path: str, *, knn: bool, is_3x: bool) -> Any:
    kind = type_of(given)
    old = type_of(before) if before else kind
    if before and "type" in given and old != kind:
        if old not in ("object", "nested"):
            raise illegal_argument(f"mapper [{path}] cannot be changed from type [{old}] to [{kind}]")
        away, to = ("non-nested", "nested") if kind == "nested" else ("nested", "non-nested")
        raise illegal_argument(f"cannot change object mapping from {away} to {to}")
    made = {**(before or {}), **{key: value for key, value in given.items() if key != "properties"}}
    if made.get("type") == "object":
        del made["type"]
    below = _merged(made.get("properties", {}), given.get("properties", {}), f"{path}.", knn=knn, is_3x=is_3x)
    if below or "type" not in made:
        made["properties"] = below
    if not below and "type" not in made:
        made["type"] = "object"
        del made["properties"]
    return made


def _vector(before: dict[str, Any] | None, given: dict[str, Any], path: str, *, knn: bool, is_3x: bool) -> Any:
    dimension = given.get("dimension")
    if dimension is None and "model_id" not in given:
        raise illegal_argument(f"Dimension value missing for vector: {path}")
    if int(1 if dimension is None else dimension) < 1:
        raise illegal_argument(f"Dimension value must be greater than 0 for vector: {path.rpartition('.')[2]}")
    method = given.get("method")
    if method is not None and not knn:
        raise illegal_argument(NO_KNN)
    if int(dimension or 1) > MAX_DIMENSION:
        engine = (method or {}).get("engine", "faiss")
        words = f"Dimension value cannot be greater than {MAX_DIMENSION} for vector with engine: {engine}"
        raise Problem(400, "validation_exception", f"Validation Failed: 1: {words};")
    made = {**given, "dimension": int(dimension or 1)}
    if method is not None:
        of_floats = str(given.get("data_type", "float")).lower() == "float"
        made["method"] = checked(method, given.get("space_type", "l2"), of_floats=of_floats, is_3x=is_3x)
    elif not knn and is_3x:
        made["doc_values"] = True
    if "data_type" in made:
        made["data_type"] = str(made["data_type"]).upper()
    if before is not None:
        _hold(before, made, path, is_3x=is_3x)
    return made


def _hold(before: dict[str, Any], now: dict[str, Any], path: str, *, is_3x: bool) -> None:
    """A vector field stays as it was made."""
    if "method" in before and "method" not in now and not is_3x:
        raise illegal_argument(f"mapper [{path}] cannot be changed from type [knn_vector] to [knn_vector]")
    for key in ("dimension", "method"):
        old, new = before.get(key), now.get(key)
        if old != new:
            names = [each.get("name") if isinstance(each, dict) else each for each in (old, new)]
            words = f"Cannot update parameter [{key}] from [{_word(names[0])}] to [{_word(names[1])}]"
            raise illegal_argument(f"Mapper for [{path}] conflicts with existing mapper:\n\t{words}")


def _word(value: Any) -> str:
    return "null" if value is None else str(value)
