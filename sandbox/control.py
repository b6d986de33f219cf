"""`/_sandbox/`: what people and tests use to look at the sandbox, hurry it, and order trouble."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse
from starlette.routing import Route

from sandbox.openai_face import jobs
from sandbox.pace import Pace

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from sandbox.box import Box


class Control:
    def __init__(
        self,
        box: Box,
        stop_work: Callable[[], None],
        start_work: Callable[[], None],
        poll: Callable[[], Awaitable[int]],
        charged: Callable[[], list[dict[str, Any]]],
        forget_indices: Callable[[], None],
    ) -> None:
        """`charged`: the jobs of the faces other than OpenAI's, in the ledger's form."""
        self._box = box
        self._stop_work, self._start_work, self._poll, self._charged = stop_work, start_work, poll, charged
        self._forget_indices = forget_indices

    def routes(self) -> list[Route]:
        return [
            Route("/_sandbox/ready", self.ready),
            Route("/_sandbox/calls", self.calls, methods=["GET", "DELETE"]),
            Route("/_sandbox/ledger", self.ledger),
            Route("/_sandbox/high-water", self.high_water, methods=["GET", "DELETE"]),
            Route("/_sandbox/faults", self.faults, methods=["GET", "POST", "DELETE"]),
            Route("/_sandbox/pace", self.pace, methods=["GET", "POST"]),
            Route("/_sandbox/poll", self.poll, methods=["POST"]),
            Route("/_sandbox/reset", self.reset, methods=["POST"]),
        ]

    async def ready(self, request: Request) -> Response:
        return JSONResponse(
            {
                "ready": True,
                "profile": self._box.profile,
                "pace": str(self._box.pace),
                "private_ip": "refuse" if self._box.private_ip_refused else "allow",
            }
        )

    async def calls(self, request: Request) -> Response:
        if request.method == "DELETE":
            self._box.calls.clear()
        return JSONResponse(self._box.calls.all())

    async def ledger(self, request: Request) -> Response:
        return JSONResponse([*jobs.ledger(self._box), *await asyncio.to_thread(self._charged)])

    async def high_water(self, request: Request) -> Response:
        if request.method == "DELETE":
            jobs.forget_high_water(self._box)
        return JSONResponse(jobs.high_water(self._box))

    async def faults(self, request: Request) -> Response:
        if request.method == "DELETE":
            self._box.faults.clear()
        if request.method == "POST":
            try:
                return JSONResponse(self._box.faults.order(await request.json()).to_dict(), status_code=201)
            except ValueError as error:
                return JSONResponse({"error": str(error)}, status_code=400)
        return JSONResponse([fault.to_dict() for fault in self._box.faults.all()])

    async def pace(self, request: Request) -> Response:
        """POST {"pace": "polls:2"}: it holds for jobs under way as well."""
        if request.method == "POST":
            try:
                body = await request.json()
                self._box.pace = Pace.parse(str(body.get("pace") if isinstance(body, dict) else body))
            except ValueError as error:
                return JSONResponse({"error": str(error)}, status_code=400)
        return JSONResponse({"pace": str(self._box.pace)})

    async def poll(self, request: Request) -> Response:
        """One round of ML Commons' background job, which real servers take once a minute and the sandbox on order."""
        return JSONResponse({"polled": await self._poll()})

    async def reset(self, request: Request) -> Response:
        """Forget everything: files, jobs, models, faults, calls. The pace stays."""
        self._stop_work()
        self._box.faults.clear()
        self._box.state.clear()
        self._forget_indices()
        self._start_work()
        return JSONResponse({"reset": True})
