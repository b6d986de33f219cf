"""The sandbox as one server, on 127.0.0.1 unless told otherwise: a thread for tests, or `python -m sandbox`."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import uvicorn
from starlette.applications import Starlette

from sandbox import refusals
from sandbox.aws_face.face import AWSFace
from sandbox.box import HEAP_BYTES, open_box
from sandbox.cohere_face.face import CohereFace
from sandbox.control import Control
from sandbox.gate import Gate
from sandbox.index_face.face import IndexFace
from sandbox.ml_commons_face.face import MLCommonsFace
from sandbox.ml_commons_face.targets import EVERY_ADDRESS
from sandbox.openai_face.face import OpenAIFace
from sandbox.openai_face.worker import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.types import ASGIApp

    from sandbox.box import Box

HOST = "127.0.0.1"


class Work:
    """What runs beside the calls, of all faces."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.worker, self.aws, self.cohere = Worker(box), AWSFace(box), CohereFace(box)
        self.index = IndexFace(box)

    def start(self) -> None:
        self.worker.start()
        self.aws.start()
        self.cohere.start()
        self.index.start()

    def stop(self) -> None:
        self.index.stop()
        self.cohere.stop()
        self.aws.stop()
        self.worker.stop()

    def ledger(self) -> list[dict[str, Any]]:
        """Of the faces other than OpenAI's."""
        return [*self.aws.ledger(), *self.cohere.ledger()]


def build(work: Work) -> ASGIApp:
    box = work.box
    ml_commons = MLCommonsFace(box)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await ml_commons.close()

    app = Starlette(
        routes=[
            *Control(box, work.stop, work.start, ml_commons.poll, work.ledger, work.index.forget).routes(),
            *OpenAIFace(box, work.worker).routes(),
            *work.aws.routes(),
            *work.cohere.routes(),
            *ml_commons.routes(),
            work.index,
        ],
        exception_handlers=refusals.HANDLERS,
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return Gate(app, box)


class _Announcing(uvicorn.Server):
    """Says when it listens, so that nobody has to ask in a loop."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = threading.Event()
        self.when_listening: Callable[[], None] = self.listening.set

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.when_listening()


class Sandbox:
    """`with Sandbox(folder) as box:` serves on `box.url` until the block ends; the folder keeps everything.

    Port 0 takes a free one and keeps it, so that stop() and start() give the same server at the same address.
    `host` is an IPv4 address of this machine or a name for one; 0.0.0.0 listens on all of them. Connectors may call
    that address beside loopback, and no other. `public_names` (such as localhost) are let through by
    `private_ip="refuse"`, so that one sandbox shows both. `heap_bytes` is the heap the cluster is said to have.
    """

    def __init__(
        self,
        data_dir: Path | str,
        pace: str = "instant",
        *,
        host: str = HOST,
        port: int = 0,
        profile: str = "3.6.0",
        private_ip: str = "allow",
        public_names: tuple[str, ...] = (),
        heap_bytes: int = HEAP_BYTES,
    ) -> None:
        self.host = host
        self.port = port
        self._settings = (Path(data_dir), pace, profile, private_ip, host, public_names, heap_bytes)
        self._thread: threading.Thread | None = None
        self._server: _Announcing | None = None
        self.box: Box | None = None
        self.work: Work | None = None

    @property
    def url(self) -> str:
        """One that can be called from this machine."""
        return f"http://{HOST if self.host == EVERY_ADDRESS else self.host}:{self.port}"

    def start(self) -> Self:
        """Returns when calls are answered; raises OSError if the port is taken."""
        listener, server, work = self._prepare()
        self._thread = threading.Thread(target=self._serve, args=(listener, server, work), name="sandbox")
        self._thread.start()
        server.listening.wait()
        return self

    def stop(self) -> None:
        """Work under way is left as a kill would leave it: the next start takes it up."""
        if self._server is None or self._thread is None:
            return
        self._server.should_exit = True
        self._thread.join()
        self._thread = self._server = None

    def serve(self, when_listening: Callable[[], None]) -> None:
        """In the foreground, until SIGINT or SIGTERM; `when_listening` is called once, when calls are answered."""
        listener, server, work = self._prepare()
        server.when_listening = when_listening
        self._serve(listener, server, work)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def _prepare(self) -> tuple[socket.socket, _Announcing, Work]:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((self.host, self.port))
        self.port = listener.getsockname()[1]
        self.box = open_box(*self._settings)
        self.work = work = Work(self.box)
        config = uvicorn.Config(
            build(work),
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            timeout_graceful_shutdown=1,
        )
        self._server = _Announcing(config)
        return listener, self._server, work

    def _serve(self, listener: socket.socket, server: _Announcing, work: Work) -> None:
        box = work.box
        work.start()
        try:
            server.run(sockets=[listener])
        finally:
            work.stop()
            box.state.close()
            listener.close()
            server.listening.set()
