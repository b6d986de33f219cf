"""A provider that does as it is told: OpenAI's batch API as the recorded plays need it, over HTTP on loopback."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

HEADERS_KEPT = ("authorization", "content-type", "x-mark", "user-agent")
SEEN = ("method", "path", "headers", "body")


@dataclass(frozen=True)
class Answer:
    """`lost`: the connection is cut instead. `seconds` is how long it takes. A body that is text goes out as it is."""

    status: int = 200
    body: Any = ""
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    lost: bool = False


@dataclass
class Script:
    """What to answer, until told otherwise; `answers` and `cancels` are by batch id and replace the usual ones."""

    submit: Answer | None = None
    answers: dict[str, Answer | None] = field(default_factory=dict)
    cancels: dict[str, Answer | None] = field(default_factory=dict)
    batches: dict[str, dict[str, Any]] = field(default_factory=dict)
    next_number: int = 1

    def create(self, asked: dict[str, Any]) -> dict[str, Any]:
        id_ = f"batch_{self.next_number:04d}"
        self.next_number += 1
        self.batches[id_] = {
            "id": id_,
            "object": "batch",
            "endpoint": asked.get("endpoint", "/v1/embeddings"),
            "errors": None,
            "input_file_id": asked.get("input_file_id"),
            "completion_window": asked.get("completion_window", "24h"),
            "status": "validating",
            "output_file_id": None,
            "error_file_id": None,
            "created_at": 1714508499,
            "expires_at": 1714536634,
            "request_counts": {"total": 0, "completed": 0, "failed": 0},
            "metadata": asked.get("metadata"),
        }
        return self.batches[id_]


class ScriptedProvider(AbstractContextManager["ScriptedProvider"]):
    """`with ScriptedProvider() as provider:` serves on `provider.port` of loopback; `seen()` is what came since."""

    def __init__(self) -> None:
        self.script = Script()
        self._seen: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def seen(self) -> list[dict[str, Any]]:
        """The calls since it was last asked."""
        with self._lock:
            found, self._seen = self._seen, []
        return found

    def answer(self, method: str, path: str, raw: str) -> Answer:
        match [part for part in path.split("/") if part]:
            case ["v1", "batches"] if method == "POST":
                return self._submit(raw)
            case ["v1", "batches", id_]:
                return self._status(id_)
            case ["v1", "batches", id_, "cancel"] if method == "POST":
                return self._cancel(id_)
            case ["v1", "embeddings"]:
                vector = {"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}
                return Answer(body={"object": "list", "data": [vector]})
        return Answer(404, {"error": "unknown path"})

    def _submit(self, raw: str) -> Answer:
        """A batch is made also when the answer says otherwise: that is how jobs get lost."""
        try:
            asked = json.loads(raw or "{}")
        except ValueError:
            asked = {}
        with self._lock:
            made = self.script.create(asked)
        return self.script.submit or Answer(body=made)

    def _status(self, id_: str) -> Answer:
        batch = self.script.batches.get(id_)
        if batch is None:
            error = {"message": f"No such batch: {id_}", "type": "invalid_request_error"}
            return Answer(404, {"error": error})
        return self.script.answers.get(id_) or Answer(body=batch)

    def _cancel(self, id_: str) -> Answer:
        if id_ not in self.script.batches:
            return self._status(id_)
        if said := self.script.cancels.get(id_):
            return said
        self.script.batches[id_]["status"] = "cancelling"
        return Answer(body=self.script.batches[id_])

    def _note(self, method: str, path: str, headers: dict[str, str], raw: str) -> None:
        kept = {name: headers[name] for name in HEADERS_KEPT if name in headers}
        with self._lock:
            self._seen.append({"method": method, "path": path, "headers": kept, "body": raw})

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: Any) -> None:
                """Not on the terminal of a test run."""

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                provider._note(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, raw)
                answer = provider.answer(self.command, self.path, raw)
                time.sleep(answer.seconds)
                # A client that waits no longer has gone.
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    self._send(answer)

            do_GET = do_POST

            def _send(self, answer: Answer) -> None:
                if answer.lost:
                    self.close_connection = True
                    return
                body = (answer.body if isinstance(answer.body, str) else json.dumps(answer.body)).encode()
                self.send_response(answer.status)
                for name, value in ({"Content-Type": "application/json"} | answer.headers).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        return Handler
