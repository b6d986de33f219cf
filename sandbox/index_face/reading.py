"""How a document is taken in: its fields against the mapping, which may grow by it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from sandbox.index_face import vectors
from sandbox.index_face.errors import Problem, illegal_argument, unparsable
from sandbox.index_face.mappings import BROKEN, DATES, WHOLE, type_of
from sandbox.index_face.patterns import kept
from sandbox.index_face.settings import limits
from sandbox.index_face.times import parsed_time

if TYPE_CHECKING:
    from sandbox.index_face.index import Index

MAX_KEYWORD_BYTES = 32_766
LOOKS_LIKE_A_DATE = re.compile(r"\d{4}-\d\d(-\d\d(T[\d:.,]+(Z|[+-]\d\d:?\d\d)?)?)?|\d{4}/\d\d/\d\d.*")


@dataclass(frozen=True)
class Read:
    """`source` is what is kept of it (None: nothing), `indexed` what queries look at, `skipped` what none finds."""

    source: bytes | None
    indexed: bytes
    skipped: frozenset[str]


@dataclass
class _Reading:
    index: Index
    id: str
    grown: dict[str, Any] = field(default_factory=dict)
    skipped: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)
    is_rewritten: bool = False
    nested: int = 0

    def object(self, value: dict[str, Any], properties: dict[str, Any], path: str, dynamic: str) -> None:
        for name in value:
            self.field(value, name, properties, path, dynamic)

    def field(self, holder: dict[str, Any], name: str, properties: dict[str, Any], above: str, dynamic: str) -> None:
        value = holder[name]
        known = properties.get(name)
        if known is None and "." in name:
            self.dotted(name, value, properties, above, dynamic)
            return
        path = above + name
        if known is None:
            self.unknown(path, name, value, above, dynamic)
            return
        kind = known.get("type", "object")
        if kind == "knn_vector":
            if value is not None:
                made = self.vector(value, known, path)
                if self.index.is_derived:
                    holder[name] = vectors.shortest(made)
                    self.is_rewritten = True
        elif kind in ("object", "nested"):
            self.below(value, known, path, str(known.get("dynamic", dynamic)).lower())
        elif value is not None:
            self.check(value, kind, known, path)

    def vector(self, value: Any, known: dict[str, Any], path: str) -> Any:
        made = vectors.checked(value, known, path, self.id)
        if path in self.seen and self.index.fields.nested_above(path) is None:
            words = f'VectorValuesField "{path}" appears more than once in this document'
            raise illegal_argument(f"{words} (only one value is allowed per field)")
        self.seen.add(path)
        return made

    def below(self, value: Any, known: dict[str, Any], path: str, dynamic: str) -> None:
        for item in value if isinstance(value, list) else [value]:
            if item is None:
                continue
            if not isinstance(item, dict):
                reason = f"object mapping for [{path}] tried to parse field [{path.rpartition('.')[2]}] as object"
                raise unparsable(f"{reason}, but found a concrete value")
            if type_of(known) == "nested":
                self.one_more_object()
            self.object(item, known.get("properties", {}), f"{path}.", dynamic)

    def one_more_object(self) -> None:
        self.nested += 1
        most = limits(self.index.settings).nested_objects
        if self.nested > most:
            words = f"The number of nested documents has exceeded the allowed limit of [{most}]. This limit can be set"
            raise unparsable(f"{words} by changing the [index.mapping.nested_objects.limit] index level setting.")

    def dotted(self, name: str, value: Any, properties: dict[str, Any], above: str, dynamic: str) -> None:
        """`{"o.v": …}` is a field of `o`; its text stays as it was sent."""
        head, _, rest = name.partition(".")
        known = properties.get(head)
        if known is not None and type_of(known) in ("object", "nested"):
            kept_text = {rest: value}
            self.field(kept_text, rest, known.get("properties", {}), f"{above}{head}.", dynamic)
        else:
            self.unknown(above + name, name, value, above, dynamic)

    def unknown(self, path: str, name: str, value: Any, above: str, dynamic: str) -> None:
        if dynamic == "false":
            self.skipped.add(path)
            return
        if dynamic.startswith("strict"):
            within = above.rstrip(".") or "_doc"
            reason = f"mapping set to {dynamic}, dynamic introduction of [{name}] within [{within}] is not allowed"
            raise Problem(400, "strict_dynamic_mapping_exception", reason)
        made = guessed(value)
        if made is None:
            return
        below = self.grown
        for part in above.rstrip(".").split(".") if above else []:
            below = below.setdefault("properties", {}).setdefault(part, {})
        properties = below.setdefault("properties", {})
        if name in properties and "properties" in properties[name]:
            properties[name]["properties"] |= made.get("properties", {})
        else:
            properties.setdefault(name, made)

    def check(self, value: Any, kind: str, known: dict[str, Any], path: str) -> None:
        for item in value if isinstance(value, list) else [value]:
            if item is None or (kind in TEXTS and type(item) is str and len(item) < 8000):
                continue
            if isinstance(item, dict) and kind not in ("flat_object", "geo_point", "geo_shape", "join"):
                raise self.refused(path, kind, _preview(item), "Can't get text on a START_OBJECT")
            if kind in WHOLE or kind in BROKEN:
                self.number(item, kind, path)
            elif kind in DATES and parsed_time(item) is None:
                words = f"failed to parse date field [{item}] with format "
                raise self.refused(path, kind, str(item), f"{words}[strict_date_time_no_millis||epoch_millis]")
            elif kind == "boolean" and item not in (True, False, "true", "false", ""):
                words = f"Failed to parse value [{item}] as only [true] or [false] are allowed."
                raise self.refused(path, kind, str(item), words)
            elif kind == "keyword" and "ignore_above" not in known and isinstance(item, str):
                self.keyword(item, path)

    def number(self, item: Any, kind: str, path: str) -> None:
        try:
            float(item)
        except (TypeError, ValueError):
            raise self.refused(path, kind, str(item), f'For input string: "{item}"') from None

    def keyword(self, item: str, path: str) -> None:
        length = len(item.encode("utf-8", "surrogatepass"))
        if length > MAX_KEYWORD_BYTES:
            words = f"bytes can be at most {MAX_KEYWORD_BYTES} in length; got {length}"
            prefix = ", ".join(str(byte) for byte in item.encode()[:30])
            raise illegal_argument(
                f'Document contains at least one immense term in field="{path}" (whose UTF8 encoding is longer than '
                f"the max length {MAX_KEYWORD_BYTES}), all of which were skipped.  Please correct the analyzer to not "
                f"produce such terms.  The prefix of the first immense term is: '[{prefix}]...', original message: "
                f"{words}",
                {"type": "max_bytes_length_exceeded_exception", "reason": words},
            )

    def refused(self, path: str, kind: str, preview: str, cause: str) -> Problem:
        words = f"failed to parse field [{path}] of type [{kind}] in document with id '{self.id}'. "
        caused_by = {"type": "illegal_argument_exception", "reason": cause}
        return unparsable(f"{words}Preview of field's value: '{preview}'", caused_by)


TEXTS = frozenset({"keyword", "text"})


def _preview(item: Any) -> str:
    return orjson.dumps(item).decode()


def guessed(value: Any) -> dict[str, Any] | None:
    """The mapping that a value without one gets; None for what says nothing (null, an empty list)."""
    if isinstance(value, list):
        return next((made for item in value if (made := guessed(item)) is not None), None)
    if isinstance(value, bool):
        return {"type": "boolean"}
    if isinstance(value, int):
        return {"type": "long"}
    if isinstance(value, float):
        return {"type": "float"}
    if isinstance(value, str):
        if LOOKS_LIKE_A_DATE.fullmatch(value):
            return {"type": "date"}
        return {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}}
    if isinstance(value, dict):
        below = {name: made for name, item in value.items() if (made := guessed(item)) is not None}
        return {"properties": below}
    return None


def parsed(raw: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        type_ = "json_e_o_f_exception" if "end of data" in str(error) else "json_parse_exception"
        raise unparsable("failed to parse", {"type": type_, "reason": str(error)}) from None
    if not isinstance(value, dict):
        raise unparsable("failed to parse, document is empty" if value is None else "failed to parse")
    return value


def take_in(index: Index, id: str, value: dict[str, Any], raw: bytes | None, *, is_3x: bool) -> Read:
    """Read a document, growing the mapping where it must; `raw` is its text where that is known."""
    reading = _Reading(index, id)
    dynamic = str(index.mapping.get("dynamic", "true")).lower()
    reading.object(value, index.mapping.get("properties", {}), "", dynamic)
    if reading.grown:
        index.grow(reading.grown, is_3x=is_3x)
        return take_in(index, id, value, raw, is_3x=is_3x)
    whole = orjson.dumps(value) if reading.is_rewritten or raw is None else raw
    rule = index.mapping.get("_source")
    source: bytes | None = whole
    if rule:
        if rule.get("enabled") in (False, "false"):
            source = None
        elif rule.get("includes") or rule.get("excludes"):
            source = orjson.dumps(kept(value, rule.get("includes", []), rule.get("excludes", [])))
    return Read(source, whole, frozenset(reading.skipped))
