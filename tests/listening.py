"""The addresses that a process listens on."""

from __future__ import annotations

from typing import Any

import psutil  # type: ignore[import-untyped]


def listened_on(process: psutil.Process) -> list[Any]:
    try:
        connections = process.net_connections(kind="inet")
    except psutil.NoSuchProcess:  # a task's, which has ended meanwhile
        return []
    return [connection.laddr for connection in connections if connection.status == psutil.CONN_LISTEN]
