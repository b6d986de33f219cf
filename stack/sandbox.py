"""The sandbox as a part of the stack: the stand-in for the cluster and the provider."""

from __future__ import annotations

import sys
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


def wait_until_ready(sandbox: Part, url: str) -> None:
    with httpx.Client(base_url=url, trust_env=False, timeout=5) as client:
        sandbox.wait_until(lambda: _answers(client), "is not ready")


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/_sandbox/ready").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
