"""The body of a bulk request: its lines as actions, and what refuses it whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from sandbox.index_face.errors import Problem, illegal_argument, invalid_request, not_served
from sandbox.index_face.writes import Change, Terms

KINDS = ("create", "delete", "index", "update")
WORDS = frozenset({
    "_index", "_id", "_type", "routing", "_routing", "if_seq_no", "if_primary_term", "version", "version_type",
    "retry_on_conflict", "require_alias", "pipeline", "_source", "op_type",
})  # fmt: skip
DOC_WORDS = frozenset({"doc", "doc_as_upsert", "detect_noop", "upsert", "_source", "if_seq_no", "if_primary_term"})
MAX_ID_BYTES = 512
NO_NEWLINE = "The bulk request must be terminated by a newline [\\n]"


@dataclass(frozen=True)
class Action:
    """`refusal` is why this item cannot be done; `text` is the document's line."""

    kind: str
    index: str | None
    id: str | None
    routing: str | None
    terms: Terms
    require_alias: bool
    text: bytes = b""
    change: Change | None = None
    wants_source: Any = None
    refusal: Problem | None = None


def actions(body: bytes, default_index: str | None, *, require_alias: bool) -> list[Action]:
    """Problem refuses all of them."""
    if not body.strip(b"\n"):
        if not body:
            raise Problem(400, "parse_exception", "request body is required")
        raise invalid_request("no requests added")
    if not body.endswith(b"\n"):
        raise illegal_argument(NO_NEWLINE)
    made, flaws = [], []
    lines = body.split(b"\n")
    position, last = 0, len(lines) - 1
    while position < last:
        line = lines[position]
        position += 1
        if not line.strip():
            continue
        kind, words = _head(line, position)
        text = b""
        if kind != "delete":
            if position >= last:
                raise illegal_argument(NO_NEWLINE)
            text = lines[position]
            position += 1
        action, refused = _action(kind, words, text, default_index, require_alias=require_alias)
        made.append(action)
        flaws += refused
    if flaws:
        raise invalid_request(*flaws)
    return made


def _head(line: bytes, number: int) -> tuple[str, dict[str, Any]]:
    try:
        head = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise Problem(400, "json_parse_exception", str(error)) from None
    if not isinstance(head, dict) or not head:
        found = "VALUE_STRING" if isinstance(head, str) else "START_ARRAY" if isinstance(head, list) else "END_OBJECT"
        wanted = "FIELD_NAME" if isinstance(head, dict) else "START_OBJECT"
        reason = f"Malformed action/metadata line [{number}], expected {wanted} but found [{found}]"
        raise illegal_argument(reason)
    kind, words = next(iter(head.items()))
    if kind not in KINDS:
        names = ", ".join(KINDS)
        reason = f"Malformed action/metadata line [{number}], expected one of [{names}] but found [{kind}]"
        raise illegal_argument(reason)
    if not isinstance(words, dict):
        raise illegal_argument(f"Malformed action/metadata line [{number}], expected START_OBJECT or END_OBJECT")
    for word in words:
        if word not in WORDS or word == "_routing":
            raise illegal_argument(f"Action/metadata line [{number}] contains an unknown parameter [{word}]")
    return kind, words


def _action(
    kind: str, words: dict[str, Any], text: bytes, default_index: str | None, *, require_alias: bool
) -> tuple[Action, list[str]]:
    if words.get("pipeline") not in (None, "_none"):
        raise not_served("pipelines")
    if kind == "index" and words.get("op_type") == "create":
        kind = "create"
    seq_no, term = words.get("if_seq_no"), words.get("if_primary_term")
    version = words.get("version")
    id_ = _text(words.get("_id"))
    change, wants_source, refused = None, words.get("_source"), []
    if kind == "update":
        if version is not None:
            reason = "Update requests do not support versioning. Please use `if_seq_no` and `if_primary_term` instead"
            raise illegal_argument(reason)
        change, line = change_of(text)
        wants_source = line.get("_source", wants_source)
        seq_no, term = line.get("if_seq_no", seq_no), line.get("if_primary_term", term)
        refused = update_flaws(id_, seq_no, change, retries=bool(words.get("retry_on_conflict")))
    refused += _flaws(kind, id_, seq_no, term, version)
    terms = Terms(seq_no, term, version, str(words.get("version_type", "internal")))
    needs_alias = bool(words.get("require_alias", require_alias))
    refusal = illegal_argument("if _id is specified it must not be empty") if id_ == "" and kind != "delete" else None
    index = words.get("_index") or default_index
    if index is None:
        refused.append("index is missing")
    routing = _text(words.get("routing"))
    return Action(kind, index, id_, routing, terms, needs_alias, text, change, wants_source, refusal), refused


def change_of(text: bytes) -> tuple[Change, dict[str, Any]]:
    """What the body of an update says, and all of its words."""
    try:
        line = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Problem(400, "json_parse_exception", str(error)) from None
    if not isinstance(line, dict):
        raise Problem(400, "x_content_parse_exception", "[1:1] [UpdateRequest] Expected START_OBJECT")
    if {"script", "scripted_upsert"} & set(line):
        raise not_served("scripts")
    for word in line:
        if word not in DOC_WORDS:
            raise Problem(400, "x_content_parse_exception", f"[1:2] [UpdateRequest] unknown field [{word}]")
    upsert = line.get("upsert")
    as_upsert = line.get("doc_as_upsert") is True
    return Change(line.get("doc") or {}, upsert, as_upsert, line.get("detect_noop") is not False), line


def update_flaws(id: str | None, if_seq_no: Any, change: Change, *, retries: bool) -> list[str]:
    found = []
    if not id:
        found.append("id is missing")
    if if_seq_no is None:
        return found
    if retries:
        found.append("compare and write operations can not be retried")
    if change.doc_as_upsert:
        found.append("compare and write operations can not be used with upsert")
    if change.upsert is not None:
        found.append("upsert requests don't support `if_seq_no` and `if_primary_term`")
    return found


def _flaws(kind: str, id: str | None, if_seq_no: Any, if_primary_term: Any, version: Any) -> list[str]:
    found = []
    if kind == "create" and if_seq_no is not None:
        found.append("create operations do not support compare and set. use index instead")
    if kind == "delete" and not id:
        found.append("id is missing")
    if if_seq_no is not None and version is not None:
        found.append("compare and write operations can not use versioning")
    if id is not None and (length := len(id.encode("utf-8", "surrogatepass"))) > MAX_ID_BYTES:
        found.append(f"id [{id}] is too long, must be no longer than {MAX_ID_BYTES} bytes but was: {length}")
    return found + half_condition(if_seq_no, if_primary_term)


def half_condition(if_seq_no: Any, if_primary_term: Any) -> list[str]:
    if if_seq_no is not None and not if_primary_term:
        return ["ifSeqNo is set, but primary term is [0]"]
    if if_seq_no is None and if_primary_term:
        return [f"ifSeqNo is unassigned, but primary term is [{if_primary_term}]"]
    return []


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)
