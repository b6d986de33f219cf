"""``python -m stack.namespace -- COMMAND``: run it in a network namespace of its own, which ends with it.

Inside there is nothing but loopback, with one more address: 198.51.100.10 of TEST-NET-2 (RFC 5737). ML Commons
refuses to read the status of a job at a private address, loopback included, and takes this one for public. Nothing in
there can reach another machine.

Linux only, with util-linux's ``unshare``; as root, or as a user who may make user namespaces.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys

from stack.processes import StackError

ADDRESS = "198.51.100.10"

# linux/sockios.h, linux/if.h
SIOCSIFFLAGS = 0x8914
SIOCSIFADDR = 0x8916
IFF_UP = 0x1

INSIDE = "--inside"


def is_inside() -> bool:
    """Whether the TEST-NET address is this machine's (or namespace's) own."""
    with socket.socket() as probe:
        try:
            probe.bind((ADDRESS, 0))
        except OSError:
            return False
        return True


def check() -> None:
    """Raise StackError, saying what is missing, where no such namespace can be made."""
    ended = subprocess.run([*_command(), "true"], capture_output=True, text=True, timeout=30, check=False)
    if ended.returncode != 0:
        raise StackError(
            "a network namespace can't be made here (root, or kernel.unprivileged_userns_clone=1 and unshare, "
            f"would do): {ended.stderr.strip()}"
        )


def main() -> int:
    match sys.argv[1:]:
        case [first, program, *arguments] if first == INSIDE:
            _set_up()
            os.execvp(program, [program, *arguments])
        case ["--", *command] if command:
            try:
                check()
            except StackError as error:
                print(f"error: {error}", file=sys.stderr)
                return 1
            os.execvp("unshare", [*_command(), *command])
    print(__doc__, file=sys.stderr)
    return 2


def _command() -> list[str]:
    """The user stays who he is, with the rights of root over this namespace alone."""
    unshare = shutil.which("unshare")
    if unshare is None:
        raise StackError("unshare (util-linux) is needed to make a network namespace, and is not on the PATH")
    user = [] if os.geteuid() == 0 else ["--user", "--map-current-user", "--keep-caps"]
    return [unshare, "--net", *user, sys.executable, "-m", "stack.namespace", INSIDE]


def _set_up() -> None:
    """As ``ip link set lo up`` and ``ip address add 198.51.100.10/32 dev lo``, where there is no ``ip``."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))
        address = struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(ADDRESS))
        fcntl.ioctl(control, SIOCSIFADDR, struct.pack("16s16s", b"lo:1", address))


if __name__ == "__main__":
    sys.exit(main())
