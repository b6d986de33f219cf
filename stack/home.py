"""The folder a stack lives in: its lock, ports, secrets, data and logs. Deleting it starts afresh."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import random
import secrets
import socket
from typing import IO, TYPE_CHECKING, Any

from stack.processes import StackError

if TYPE_CHECKING:
    from collections.abc import Container, Mapping
    from pathlib import Path

# Below the ranges from which Linux (32768) and macOS (49152) take ports for outgoing connections.
PORTS = range(20_000, 30_000)


class Home:
    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.logs = self.path / "logs"
        self.airflow = self.path / "airflow"
        self.postgres = self.path / "postgres"
        self.sandbox = self.path / "sandbox"
        self.data = self.path / "data"
        self._lock: IO[str] | None = None

    def acquire(self) -> None:
        """Make the folder and take it for this process; the kernel gives it back however the process ends."""
        for folder in (self.path, self.logs, self.airflow, self.postgres, self.sandbox, self.data):
            folder.mkdir(parents=True, exist_ok=True)
        lock = (self.path / "lock").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            lock.close()
            raise StackError(
                f"{self.path} is in use by process {holder}: stop that one first, or give --home"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock

    def release(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def port(self, name: str) -> int:
        """A loopback port that stays the same for this home.

        The sandbox's has to: the connector that was created in it names the address. Raises StackError when another
        program has taken it meanwhile.
        """
        kept: dict[str, int] = self._read("ports.json")
        if name not in kept:
            kept[name] = free_port(set(kept.values()))
            self._write("ports.json", kept)
        port = kept[name]
        if not _is_free(port):
            raise StackError(
                f"port {port} of 127.0.0.1, which this stack's {name} uses, is taken by another program: "
                f"stop that one, or delete {self.path} to start afresh on other ports"
            )
        return port

    def secrets(self) -> dict[str, str]:
        """Random for each home, readable by its owner only: jwt, fernet, api."""
        kept: dict[str, str] = self._read("secrets.json")
        if not kept:
            kept = {
                "jwt": secrets.token_urlsafe(64),
                "api": secrets.token_urlsafe(32),
                "fernet": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            }
            self._write("secrets.json", kept)
        return kept

    def _read(self, name: str) -> dict[str, Any]:
        path = self.path / name
        return dict(json.loads(path.read_text())) if path.exists() else {}

    def _write(self, name: str, content: Mapping[str, object]) -> None:
        part = self.path / f"{name}.part"
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(content, file)
        part.replace(self.path / name)


def free_port(taken: Container[int] = ()) -> int:
    """On loopback, and so far nobody's: one of many, so that two who ask at once seldom get the same."""
    candidates = random.sample(PORTS, 200)
    free = next((port for port in candidates if port not in taken and _is_free(port)), None)
    if free is None:
        raise StackError(f"none of 200 ports tried between {PORTS.start} and {PORTS.stop} is free on 127.0.0.1")
    return free


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a connection of the last run in TIME_WAIT is no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
