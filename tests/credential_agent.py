"""What gives AWS credentials out to a container, as the agents of ECS and EKS do; it may be away for a moment."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from botocore.utils import ContainerMetadataFetcher

if TYPE_CHECKING:
    import pytest

ACCESS_KEY, SECRET_KEY = "ASIAOFTHEAGENT", "agents-key-not-a-secret"
KEYS = {
    "AccessKeyId": ACCESS_KEY,
    "SecretAccessKey": SECRET_KEY,
    "Token": "agents-token-not-a-secret",
    "Expiration": "2099-01-01T00:00:00Z",
}
OTHERS = (
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_PROFILE"),
    *("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
    *("AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
)
"""Variables with other credentials, or with where they are."""


@dataclass
class Agent:
    is_up: bool = False


@contextmanager
def credential_agent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Agent]:
    """The only source of credentials on this machine. It is away at first: it answers 503."""
    agent = Agent()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(KEYS).encode() if agent.is_up else b"restarting"
            self.send_response(200 if agent.is_up else 503)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *said: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        for name in OTHERS:
            monkeypatch.delenv(name, raising=False)
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            monkeypatch.setenv(name, "/dev/null")
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://127.0.0.1:{server.server_address[1]}/keys")
        monkeypatch.setattr(ContainerMetadataFetcher, "SLEEP_TIME", 0)  # the SDK's own repetitions, without pauses
        try:
            yield agent
        finally:
            server.shutdown()
            thread.join()
