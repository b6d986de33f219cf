"""Whom a connector may call: loopback, and the address the sandbox itself listens on. Nothing leaves the machine."""

from __future__ import annotations

import asyncio
import ipaddress
import socket

EVERY_ADDRESS = "0.0.0.0"
# Those that ML Commons refuses unless its setting allows them; a name that is not an address is one of loopback here.
PRIVATE = tuple(
    ipaddress.ip_network(net)
    for net in ("10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "::1/128")
)


async def is_allowed(host: str, own_host: str) -> bool:
    """Whether a connector may call it. When every address is listened on, each of this machine's addresses is own."""
    if is_loopback(host) or host == own_host:
        return True
    return own_host == EVERY_ADDRESS and await _is_here(host)


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_private(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return True
    return any(address in net for net in PRIVATE)


async def _is_here(host: str) -> bool:
    """An address that can be bound is this machine's; the name of a container is in its own hosts file."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, 0, family=socket.AF_INET, type=socket.SOCK_STREAM)
        with socket.socket() as probe:
            probe.bind(found[0][4])
    except OSError:
        return False
    return True
