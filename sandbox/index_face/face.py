"""The paths of indices and documents, and where each leads."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, unquote_plus

import numpy
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match

from sandbox.index_face import room, stats
from sandbox.index_face.admin import Admin
from sandbox.index_face.aliases import Aliases
from sandbox.index_face.bulk import MAX_BODY_BYTES, Bulk
from sandbox.index_face.call import Answer, Call, plain, text_of, unzipped
from sandbox.index_face.catalog import Catalog
from sandbox.index_face.patterns import by_filter_path
from sandbox.index_face.pits import PITs
from sandbox.index_face.points import Points
from sandbox.index_face.search import Search
from sandbox.index_face.single import Single
from sandbox.index_face.store import Store
from sandbox.ml_commons_face.errors import OpenSearchError

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send

    from sandbox.box import Box

    Work = Callable[[], Answer]

# First parts of paths that are other faces' and cannot be an index here.
OTHERS = frozenset({"v1", "v2", "aws", ""})
FILE = "index.sqlite"


class IndexFace(BaseRoute):
    """One call at a time is in it, in a thread of its own."""

    def __init__(self, box: Box) -> None:
        self._lock = threading.Lock()
        self._heap_bytes = box.heap_bytes
        self._store = Store(box.state.files.parent / FILE)
        self._catalog = Catalog(self._store, box.release)
        self._points = Points(self._catalog)
        self._admin, self._aliases, self._single = Admin(self._catalog), Aliases(self._catalog), Single(self._catalog)
        self._bulk = Bulk(self._catalog, box.faults, box.heap_bytes)
        self._search = Search(self._catalog, self._points, box.faults)
        self._pits = PITs(self._catalog, self._points)

    def start(self) -> None:
        with self._lock:
            self._catalog.load()

    def stop(self) -> None:
        with self._lock:
            self._points.clear()
            self._store.close()

    def forget(self) -> None:
        with self._lock:
            self._points.clear()
            self._catalog.clear()

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] == "http" and self._work(_call(scope, b"")) is not None:
            return Match.FULL, {"endpoint": self}
        return Match.NONE, {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        if int(request.headers.get("content-length") or 0) > MAX_BODY_BYTES:
            await Response(b"", 413)(scope, receive, send)
            return
        try:
            raw = await request.body()
        except ClientDisconnect:
            return
        answer, params = await asyncio.to_thread(self._answer, scope, raw, request.headers.get("content-encoding", ""))
        body = b"" if answer.body is None else _text(answer.body, params)
        media = {} if answer.body is None else {"content-type": "application/json; charset=UTF-8"}
        await Response(body, answer.status, media)(scope, receive, send)

    def _answer(self, scope: Scope, raw: bytes, encoding: str) -> tuple[Answer, dict[str, str]]:
        params: dict[str, str] = {}
        try:
            call = _call(scope, unzipped(raw, encoding))
            params = call.params
            # What is too great for a float32 is found and refused by itself.
            with self._lock, numpy.errstate(over="ignore"):
                work = self._work(call)
                assert work is not None, "matches() let it in"
                return work(), params
        except OpenSearchError as problem:
            # An error is never filtered by filter_path.
            return Answer(problem.status, None if scope["method"] == "HEAD" else problem.to_dict()), {}

    def _work(self, call: Call) -> Work | None:
        """What is to be done; None for a path that is not of this face."""
        first, *rest = call.segments or ("",)
        if first in OTHERS:
            return None
        if first.startswith("_") and first != "_all":
            return self._without_index(call, first, rest)
        if not rest:
            return self._of_index(call, first)
        if rest[0] in ("_doc", "_create", "_update"):
            return self._of_document(call, first, rest)
        return self._of_part(call, first, rest)

    def _without_index(self, call: Call, first: str, rest: list[str]) -> Work | None:
        table: dict[tuple[str, ...], Work] = {
            ("POST", "_bulk"): lambda: self._bulk.run(call, None),
            ("PUT", "_bulk"): lambda: self._bulk.run(call, None),
            ("GET", "_mget"): lambda: self._single.get_many(call, None),
            ("POST", "_mget"): lambda: self._single.get_many(call, None),
            ("GET", "_search"): lambda: self._search.run(call, None),
            ("POST", "_search"): lambda: self._search.run(call, None),
            ("GET", "_count"): lambda: self._search.count(call, "_all"),
            ("POST", "_count"): lambda: self._search.count(call, "_all"),
            ("POST", "_refresh"): lambda: self._admin.refresh(call, "_all"),
            ("GET", "_search", "point_in_time", "_all"): lambda: self._pits.all(call),
            ("DELETE", "_search", "point_in_time"): lambda: self._pits.close(call),
            ("DELETE", "_search", "point_in_time", "_all"): lambda: self._pits.close_all(call),
            ("POST", "_aliases"): lambda: self._aliases.change(call),
            ("GET", "_aliases"): lambda: self._aliases.get(call, None, None),
            ("GET", "_alias"): lambda: self._aliases.get(call, None, None),
        }
        if work := table.get((call.method, first, *rest)):
            return work
        if call.method == "GET" and first == "_nodes" and rest[:1] == ["stats"] and len(rest) == 2:
            return lambda: room.node_stats(call, rest[1], self._heap_bytes)
        if call.method == "GET" and first == "_plugins" and rest[:2] == ["_knn", "stats"] and len(rest) == 3:
            return lambda: room.graph_stats(call, rest[2])
        if first == "_alias" and len(rest) == 1 and call.method in ("GET", "HEAD"):
            return self._alias(call, None, rest[0])
        return None

    def _of_index(self, call: Call, name: str) -> Work | None:
        table: dict[str, Callable[[Call, str], Answer]] = {
            "PUT": self._admin.create,
            "DELETE": self._admin.delete,
            "HEAD": self._admin.exists,
            "GET": self._admin.get,
        }
        work = table.get(call.method)
        return (lambda: work(call, name)) if work else None

    def _of_document(self, call: Call, name: str, rest: list[str]) -> Work | None:
        single, method = self._single, call.method
        kind, id_ = rest[0], "/".join(rest[1:]) or None
        if kind == "_doc" and id_ is None:
            return (lambda: single.put(call, name, None)) if method == "POST" else None
        if id_ is None:
            return None
        table: dict[tuple[str, str], Work] = {
            ("_doc", "PUT"): lambda: single.put(call, name, id_),
            ("_doc", "POST"): lambda: single.put(call, name, id_),
            ("_doc", "GET"): lambda: single.get(call, name, id_),
            ("_doc", "HEAD"): lambda: Answer(single.get(call, name, id_).status),
            ("_doc", "DELETE"): lambda: single.delete(call, name, id_),
            ("_create", "PUT"): lambda: single.put(call, name, id_, creates=True),
            ("_create", "POST"): lambda: single.put(call, name, id_, creates=True),
            ("_update", "POST"): lambda: single.update(call, name, id_),
        }
        return table.get((kind, method))

    def _of_part(self, call: Call, name: str, rest: list[str]) -> Work | None:
        admin, search = self._admin, self._search
        table: dict[tuple[str, ...], Callable[[Call, str], Answer]] = {
            ("GET", "_mapping"): admin.get_mapping,
            ("PUT", "_mapping"): admin.put_mapping,
            ("POST", "_mapping"): admin.put_mapping,
            ("GET", "_settings"): admin.get_settings,
            ("PUT", "_settings"): admin.put_settings,
            ("POST", "_refresh"): admin.refresh,
            ("GET", "_refresh"): admin.refresh,
            ("POST", "_flush"): admin.settle,
            ("POST", "_forcemerge"): admin.settle,
            ("POST", "_close"): admin.close,
            ("POST", "_open"): admin.open,
            ("GET", "_count"): search.count,
            ("POST", "_count"): search.count,
            ("GET", "_search"): search.run,
            ("POST", "_search"): search.run,
            ("POST", "_search", "point_in_time"): self._pits.open,
            ("POST", "_bulk"): self._bulk.run,
            ("PUT", "_bulk"): self._bulk.run,
            ("GET", "_mget"): self._single.get_many,
            ("POST", "_mget"): self._single.get_many,
        }
        if work := table.get((call.method, *rest)):
            return lambda: work(call, name)
        if rest[0] == "_stats" and len(rest) == 2 and call.method == "GET":
            return lambda: stats.stats(self._catalog, call, name, rest[1])
        if rest[0] == "_alias" and len(rest) <= 2 and call.method in ("GET", "HEAD"):
            return self._alias(call, name, rest[1] if len(rest) == 2 else None)
        return None

    def _alias(self, call: Call, name: str | None, alias: str | None) -> Work:
        if call.method == "HEAD" and alias is not None:
            return lambda: self._aliases.exists(call, name, alias)
        return lambda: self._aliases.get(call, name, alias)


def _call(scope: Scope, raw: bytes) -> Call:
    """The path is read as it was sent: an id may hold an escaped slash."""
    sent = scope.get("raw_path") or scope["path"].encode()
    path = sent.decode("latin-1").partition("?")[0]
    segments = tuple(unquote(part) for part in path.strip("/").split("/"))
    params = {}
    for part in scope.get("query_string", b"").decode("latin-1").split("&"):
        if part:
            name, _, value = part.partition("=")
            params[unquote_plus(name)] = unquote_plus(value)
    return Call(scope["method"], scope["path"], segments, params, raw)


def _text(body: Any, params: dict[str, str]) -> bytes:
    if filter_path := params.get("filter_path"):
        body = by_filter_path(plain(body), filter_path)
    return text_of(body)
