"""The sandbox as a part of the stack: the stand-in for the cluster and the provider."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import httpx

from stack.airflow import CHECKOUT
from stack.processes import Part

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stack.home import Home


def part(home: Home, env: Mapping[str, str], port: int, pace: str) -> Part:
    command = [sys.executable, "-m", "sandbox", "--port", str(port), "--data", str(home.sandbox), "--pace", pace]
    return Part("sandbox", command, home.logs / "sandbox.log", env, CHECKOUT)


def wait_until_ready(sandbox: Part, url: str, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    with httpx.Client(base_url=url, trust_env=False, timeout=5) as client:
        while not _answers(client):
            sandbox.check()
            if time.monotonic() > deadline:
                raise sandbox.failure(f"is not ready after {seconds:.0f} s")
            time.sleep(0.1)


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/_sandbox/ready").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
