"""The door every call comes through: it is written down, and faults that concern the connection happen here."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson

from sandbox.calls import MAX_BODY_BYTES
from sandbox.cluster_trouble import TROUBLES
from sandbox.echoes import echo
from sandbox.faults import called
from sandbox.ids import opensearch_id
from sandbox.odd_answers import CHANGES, Changes, Given

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from sandbox.box import Box
    from sandbox.faults import Fault

LOST = frozenset({"lost_answer", "bulk_answer_lost"})
ANSWERS = frozenset({"answer", "echo_key", *TROUBLES})


class Gate:
    """Must be the outermost ASGI application under uvicorn: to cut a connection it needs uvicorn's own `send`."""

    def __init__(self, app: ASGIApp, box: Box) -> None:
        self._app = app
        self._box = box
        self._late: set[asyncio.Task[None]] = set()
        self._changes = Changes()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/_sandbox/"):
            await self._app(scope, receive, send)
            return
        await Visit(self._app, self._box, self._late, self._changes, scope, receive, send).run()


class Visit:
    """One call on its way in and out."""

    def __init__(
        self,
        app: ASGIApp,
        box: Box,
        late: set[asyncio.Task[None]],
        changes: Changes,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        self._app, self._box, self._late, self._changes = app, box, late, changes
        self._scope, self._receive, self._send = scope, self._from_wire, send
        self._wire = receive
        self._method, self._path = scope["method"], scope["path"]
        self._headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        self._called = called(self._path, self._headers.get("x-amz-target", ""))
        self._id = opensearch_id()
        self._body = b""
        self._is_read = "expect" not in self._headers
        self._status: int | None = None

    async def run(self) -> None:
        query = self._scope["query_string"].decode("latin-1")
        self._box.calls.began(self._id, self._method, self._path, query, self._headers)
        self._scope.setdefault("state", {})["hang_up"] = self._finish_and_hang_up
        answered = False
        try:
            answered = await self._meet_faults()
        finally:
            self._box.calls.ended(self._id, self._status if answered else None, self._body)

    async def _meet_faults(self) -> bool:
        """Whether the client got an answer."""
        faults = self._box.faults
        if faults.is_down(self._path):
            await self._cut()
            return False
        await self._read_small_json()
        if delay := faults.take("delay", self._method, self._called):
            await asyncio.sleep(delay.number("seconds", 0))
        if faults.take("hold", self._method, self._called):
            await faults.cleared()
        if answer := faults.take(ANSWERS, self._method, self._called):
            await self._answer(answer)
            return True
        if late := faults.take("late_accept", self._method, self._called):
            await self._read_all()
            await self._cut()
            task = asyncio.create_task(self._accept_later(late.number("seconds", 0)))
            self._late.add(task)
            task.add_done_callback(self._late.discard)
            return False
        if faults.take(LOST, self._method, self._called):
            await self._app(self._scope, self._receive, _nowhere)
            await self._cut()
            return False
        if odd := faults.take_each(CHANGES, self._method, self._called):
            await self._send_changed(odd)
            return True
        await self._app(self._scope, self._receive, self._watched_send)
        return True

    async def _send_changed(self, faults: list[Fault]) -> None:
        """The whole answer is held until it is changed."""
        parts: list[Message] = []

        async def keep(message: Message) -> None:
            parts.append(message)

        await self._app(self._scope, self._receive, keep)
        body = b"".join(message.get("body", b"") for message in parts)
        headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in parts[0]["headers"]}
        given = Given(
            self._method,
            self._path,
            self._scope["query_string"].decode("latin-1"),
            self._headers.get("x-amz-target", ""),
            parts[0]["status"],
            headers,
            body,
        )
        made = self._changes.made(given, faults)
        length = made.headers if self._method == "HEAD" else {**made.headers, "content-length": str(len(made.body))}
        await self._begin(made.status, length)
        await self._watched_send({"type": "http.response.body", "body": made.body})

    async def _accept_later(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._app(self._scope, self._receive, _nowhere)

    async def _answer(self, fault: Fault) -> None:
        if trouble := TROUBLES.get(fault.name):
            answer = trouble.answer(self._method, self._path)
            body, status, given = answer.body, answer.status, answer.headers
        elif fault.name == "echo_key":
            status, key = int(fault.number("status", 400)), str(fault.params.get("key", ""))
            answer = echo(self._path, self._headers, self._body, status, key)
            body, given = answer.body, answer.headers
        else:
            body, status = fault.params.get("body", ""), int(fault.params.get("status", 500))
            given = fault.params.get("headers", {})
        raw = body.encode() if isinstance(body, str) else orjson.dumps(body)
        headers = {"content-type": "text/plain; charset=UTF-8" if isinstance(body, str) else "application/json"}
        headers |= {str(key).lower(): str(value) for key, value in given.items()}
        headers["content-length"] = str(len(raw))
        await self._begin(status, headers)
        await self._watched_send({"type": "http.response.body", "body": raw})

    async def _begin(self, status: int, headers: dict[str, str]) -> None:
        raw = [(key.encode("latin-1"), value.encode("latin-1")) for key, value in headers.items()]
        await self._watched_send({"type": "http.response.start", "status": status, "headers": raw})

    async def _read_small_json(self) -> None:
        length = int(self._headers.get("content-length", "0") or 0)
        if "json" in self._headers.get("content-type", "") and 0 < length <= MAX_BODY_BYTES:
            await self._read_all()

    async def _read_all(self) -> None:
        """Take the body off the wire and hand the application a copy of it."""
        if self._body:
            return
        parts: list[bytes] = []
        while True:
            message = await self._receive()
            parts.append(message.get("body", b""))
            if not message.get("more_body", False):
                break
        self._body = b"".join(parts)
        pending = [{"type": "http.request", "body": self._body, "more_body": False}]
        original = self._receive

        async def replay() -> Message:
            return pending.pop() if pending else await original()

        self._receive = replay

    async def _from_wire(self) -> Message:
        message = await self._wire()
        self._is_read = self._is_read or not message.get("more_body", False)
        return message

    async def _watched_send(self, message: Message) -> None:
        """A client that expects 100 sends no body after another answer, and uvicorn would take the next request on the
        connection for the body: so the body is asked for first.
        """
        if message["type"] == "http.response.start":
            self._status = message["status"]
            while not self._is_read:
                await self._from_wire()
        await self._send(message)

    async def _cut(self) -> None:
        _transport(self._send).abort()
        await self._is_gone()

    async def _finish_and_hang_up(self) -> None:
        """Close after what was sent so far has gone out, however much was promised."""
        _transport(self._send).close()
        await self._is_gone()

    async def _is_gone(self) -> None:
        """Until uvicorn knows that the client is gone it would answer 500 for an application that said nothing."""
        while (await self._wire())["type"] != "http.disconnect":
            pass


def _transport(send: Send) -> asyncio.Transport:
    cycle: Any = send.__self__  # type: ignore[attr-defined]
    transport: asyncio.Transport = cycle.transport
    return transport


async def _nowhere(message: Message) -> None:
    """The answer of work whose client is gone."""
