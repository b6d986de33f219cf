"""Answers that are made odd on their way out, of any face: what compatible servers, gateways and vendors on a bad day
were seen to say. What was asked for has been done.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sandbox.faults import Fault

LOGIN_PAGE = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body><form>Please sign in.</form></body></html>"
BODIES = {
    "html": ("text/html; charset=utf-8", LOGIN_PAGE),
    "empty": ("application/json", b""),
    "null": ("application/json", b"null"),
    "list": ("application/json", b"[]"),
    "text": ("application/json", b'"ok"'),
}
WORDS = "The model server went away."
JOB_FIELDS: dict[str, dict[str, Any]] = {
    "error_text": {"errors": WORDS, "FailureReason": {"message": WORDS}, "message": {"text": WORDS}},
    "error_texts": {"errors": [WORDS, "And again."], "FailureReason": [WORDS], "message": [WORDS]},
    "time_text": {"created_at": "2026-11-27T10:00:00Z"},
    "no_time": dict.fromkeys(("created_at", "completed_at", "submitTime", "CreationTime"), "soon"),
    "usage_text": {"usage": "n/a", "meta": "n/a", "TransformResources": "n/a"},
    "counts_text": {"request_counts": "n/a", **dict.fromkeys(("totalRecordCount", "successRecordCount"), "n/a")},
}
"""By what is odd about it, the fields of jobs of all vendors."""

ENTRIES = ("data", "datasets", "embed_jobs", "TransformJobSummaries", "invocationJobSummaries")
"""Where a list has its entries."""
IDS = ("id", "object", "job_id", "TransformJobArn", "jobArn")
SIZES = (
    "bytes",
    "data.*.bytes",
    "dataset.dataset_parts.*.size_bytes",
    "datasets.*.dataset_parts.*.size_bytes",
)
TOKENS = {"TransformJobSummaries": "NextToken", "invocationJobSummaries": "nextToken"}
PAGING = frozenset(["after", "limit", "offset", "nextToken", "continuation-token"])
COHERE_PAGE = 50
REPEATED = "again-"
"""How the tokens of pages begin that are given again."""
CHANGES = frozenset(["odd_body", "change_answer", "odd_job", "wrong_size", "null_entry", "no_has_more", "repeat_page"])


@dataclass(frozen=True)
class Given:
    """An answer, as it would go out; `headers` have small letters. `target` is AWS's name of the operation."""

    method: str
    path: str
    query: str
    target: str
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def kind(self) -> str:
        return self.headers.get("content-type", "")


class Changes:
    """`pages` are those that lists repeat, by fault and call."""

    def __init__(self) -> None:
        self._pages: dict[tuple[str, ...], Given] = {}
        self._repeated = 0

    def made(self, given: Given, faults: Iterable[Fault]) -> Given:
        for fault in faults:
            given = self._again(given, fault) if fault.name == "repeat_page" else self._made(given, fault)
        return given

    def _made(self, given: Given, fault: Fault) -> Given:
        if not 200 <= given.status < 300:
            return given
        if fault.name == "odd_body":
            kind, body = BODIES[fault.params["as"]]
            return replace(given, headers={**given.headers, "content-type": kind}, body=body)
        if fault.name == "wrong_size" and "json" not in given.kind:
            return _sized(given, fault.params["size"])
        if "json" not in given.kind or not given.body:
            return given
        return replace(given, body=orjson.dumps(_changed(orjson.loads(given.body), fault)))

    def _again(self, given: Given, fault: Fault) -> Given:
        """Its token is another one each time: SDKs give up where one comes twice. The face refuses such tokens."""
        asked = sorted(pair for pair in parse_qsl(given.query) if pair[0] not in PAGING)
        key = (fault.id, given.path, given.target, str(asked))
        self._repeated += 1
        first = self._pages.get(key, given)
        body = _with_more(first, f"{REPEATED}{self._repeated}") if first.status == 200 else None
        if body is None:
            return given
        self._pages[key] = first
        return replace(first, body=body)


def _with_more(given: Given, token: str) -> bytes | None:
    """None for what is no list."""
    if b"<ListBucketResult" in given.body:
        plain = re.sub(rb"<(IsTruncated|NextContinuationToken)>.*?</\1>", b"", given.body)
        more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>"
        return plain.replace(b"</ListBucketResult>", more.encode() + b"</ListBucketResult>")
    if "json" not in given.kind or not given.body:
        return None
    said = orjson.loads(given.body)
    entries = next((name for name in ENTRIES if isinstance(said, dict) and isinstance(said.get(name), list)), None)
    if entries is None:
        return None
    if entries == "datasets" and said[entries]:
        limit = int(dict(parse_qsl(given.query)).get("limit", COHERE_PAGE))
        said[entries] = (said[entries] * limit)[:limit]
    if entries == "data":
        said["has_more"] = True
    if entries in TOKENS:
        said[TOKENS[entries]] = token
    return orjson.dumps(said)


def _sized(given: Given, size: Any) -> Given:
    """Of S3: in a listing, and of an object that is only looked at."""
    if b"<ListBucketResult" in given.body:
        told = b"" if size == "absent" else b"<Size>%s</Size>" % (b"" if size is None else str(size).encode())
        return replace(given, body=re.sub(rb"<Size>\d+</Size>", told, given.body))
    if given.method != "HEAD":
        return given
    headers = {name: value for name, value in given.headers.items() if name != "content-length"}
    return replace(given, headers=headers | ({"content-length": str(size)} if isinstance(size, int) else {}))


def _changed(said: Any, fault: Fault) -> Any:
    params = fault.params
    if fault.name == "change_answer":
        for path in params.get("drop", []):
            said = put(said, path.split("."), DROPPED)
        for path, value in params.get("set", {}).items():
            said = put(said, path.split("."), value)
    elif fault.name == "wrong_size":
        for path in SIZES:
            value = DROPPED if params["size"] == "absent" else params["size"]
            said = put(said, path.split("."), value, only_there=True)
    elif fault.name == "odd_job":
        for name, value in JOB_FIELDS[params["as"]].items():
            for holder in ([], *([entries, "*"] for entries in ENTRIES)):
                said = put(said, [*holder, name], value, only_there=True)
    elif fault.name == "no_has_more":
        said = put(said, ["has_more"], DROPPED)
    elif fault.name == "null_entry":
        said = _with_null_entry(said)
    return said


def _with_null_entry(said: Any) -> Any:
    for name in ENTRIES:
        if isinstance(said, dict) and isinstance(said.get(name), list) and said[name]:
            first = said[name][0]
            said[name] = [{key: f"{value}-null" if key in IDS else None for key, value in first.items()}, *said[name]]
    return said


DROPPED = object()


def put(said: Any, path: list[str], value: Any, *, only_there: bool = False) -> Any:
    """The value at this path, where what should hold it is there; `*` is each entry of a list."""
    name, rest = path[0], path[1:]
    if name == "*":
        return [put(each, rest, value, only_there=only_there) for each in said] if isinstance(said, list) else said
    if not isinstance(said, dict) or (name not in said and (rest or only_there)):
        return said
    if rest:
        return {**said, name: put(said[name], rest, value, only_there=only_there)}
    without = {key: each for key, each in said.items() if key != name}
    return without if value is DROPPED else {**said, name: value}
