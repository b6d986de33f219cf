"""Valkey or Redis between schedulers and Celery's workers: a server of this machine's package, on loopback only."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
from typing import TYPE_CHECKING

from stack.processes import Part, StackError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stack.home import Home

PROGRAMS = ("valkey-server", "redis-server")


class Broker:
    def __init__(self, home: Home, env: Mapping[str, str]) -> None:
        folder = home.path / "broker"
        folder.mkdir(exist_ok=True)
        self._port, self._password = home.port("broker"), secrets.token_hex(16)
        settings = folder / "server.conf"
        settings.unlink(missing_ok=True)
        with os.fdopen(os.open(settings, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(_settings(self._port, self._password, str(folder)))
        self.part = Part("broker", [program(), str(settings)], home.logs / "broker.log", env, folder)

    @property
    def url(self) -> str:
        return f"redis://:{self._password}@127.0.0.1:{self._port}/0"

    def start(self) -> None:
        """Return when it accepts connections."""
        self.part.start()
        self.part.wait_until(self._accepts, "does not accept connections", pause_seconds=0.05)

    def _accepts(self) -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0


def program() -> str:
    """The server's path; raises StackError where this machine has none."""
    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if found is None:
        raise StackError(
            "several machines need a Valkey or Redis server, and neither valkey-server nor redis-server is on the "
            "PATH. On Debian and Ubuntu: apt install redis-server, then systemctl disable --now redis-server "
            "(the package starts one of its own; the stack needs only the program)"
        )
    return found


def _settings(port: int, password: str, folder: str) -> str:
    """As docker-compose.celery.yaml has them."""
    return f"bind 127.0.0.1\nport {port}\nrequirepass {password}\nappendonly yes\ndir {folder}\n"
