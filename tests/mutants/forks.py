"""Forks: a process that begins where this one stands, and ends without the ends of this one."""

from __future__ import annotations

import contextlib
import os
import signal
import time
import traceback
from collections.abc import Callable
from pathlib import Path

BROKEN = 70
"""No status of pytest: what should run the tests has failed, and says nothing of them."""
TIMED_OUT = 124


def forked(act: Callable[[], int]) -> int:
    """Return the id of a process, with a group of its own, that ends with what `act` returns.

    The status is BROKEN where `act` raises an Exception. A SystemExit or a KeyboardInterrupt is of the tests, as nobody
    else sends one to this group: the status is 1.
    """
    child = os.fork()
    if not child:
        status = 1
        try:
            os.setsid()
            status = act()
        except BaseException as error:
            traceback.print_exc()
            status = BROKEN if isinstance(error, Exception) else status
        finally:
            os._exit(status)
    return child


def ended_well(child: int, seconds: float) -> int:
    """Return its exit status, TIMED_OUT where it has to be killed after so many `seconds`; end what it has left."""
    until = time.monotonic() + seconds
    ended, status = os.waitpid(child, os.WNOHANG)
    while not ended and time.monotonic() < until:
        time.sleep(0.01)
        ended, status = os.waitpid(child, os.WNOHANG)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    if ended:
        return os.waitstatus_to_exitcode(status)
    os.waitpid(child, 0)
    return TIMED_OUT


def told(status: int, log: Path) -> int:
    """Return a status that tells of the tests; raise RuntimeError for BROKEN."""
    if status == BROKEN:
        raise RuntimeError(f"the trial has failed, not a test: see {log}")
    return status


def to(log: Path) -> None:
    """Write what is printed from here on into the file, from its beginning."""
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.close(out)
