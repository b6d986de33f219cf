"""Runs one command and sees to it that nothing of it outlives the process that asked for it.

Started by file name, once for each part of the stack, with a pipe from its owner as standard input. What ends it:

    the command ends by itself   what it left behind is killed, the exit code handed on
    the pipe closes              the owner stopped or died, even by SIGKILL: stop signal, grace, then SIGKILL
    ``k`` on the pipe            SIGKILL at once, as a crash would be

The first line on standard output is the command's process id. As a "child subreaper" the keeper inherits what its
descendants orphan, so process groups of their own, which Airflow gives its tasks, do not get away. Where there are no
subreapers (macOS) an orphan in a group of its own is missed.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import pwd
import select
import signal
import subprocess
import sys
import time

import psutil  # type: ignore[import-untyped]

# linux/prctl.h
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="keeper", description=__doc__)
    parser.add_argument("--stop-signal", type=int, default=int(signal.SIGTERM))
    parser.add_argument("--grace", type=float, default=5.0, help="seconds between the stop signal and SIGKILL")
    parser.add_argument("--user", help="run the command as this system user")
    parser.add_argument("command", nargs="+")
    given = parser.parse_args(argv)
    for ignored in (signal.SIGINT, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    family = Family(given.command, given.user)
    signal.signal(signal.SIGTERM, lambda *_: family.signal(given.stop_signal))
    print(family.pid, flush=True)
    order = family.wait(None)
    if order == "stop":
        family.signal(given.stop_signal)
        family.wait(time.monotonic() + given.grace)
    return family.end()


class Family:
    """A command and all its descendants."""

    def __init__(self, command: list[str], user: str | None) -> None:
        self._wake, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            start_new_session=True,
            user=user,
            group=pwd.getpwnam(user).pw_gid if user else None,
            extra_groups=[] if user else None,
            preexec_fn=_prepare_command,
        )
        self.pid = process.pid
        self._code: int | None = None
        self._orders = sys.stdin.fileno()

    def signal(self, number: int) -> None:
        """To the command itself, which knows what to do with its children."""
        if self._code is None:
            os.kill(self.pid, number)

    def wait(self, deadline: float | None) -> str:
        """ "exited", "kill", or "stop" (also when ``deadline``, monotonic seconds, has passed).

        With a deadline a closed pipe says nothing new, so only the command's end and ``k`` count.
        """
        watched = [self._wake, self._orders]
        while self._reap() is None:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            ready, _, _ = select.select(watched, [], [], left)
            if not ready:
                return "stop"
            if self._wake in ready:
                os.read(self._wake, 4096)
            if self._orders in ready:
                order = os.read(self._orders, 1)
                if order == b"k":
                    return "kill"
                if deadline is None:
                    return "stop"
                watched = [self._wake]
        return "exited"

    def end(self) -> int:
        """Kill what is left, however often it forks meanwhile; the command's exit code (128 + n for a signal)."""
        while descendants := psutil.Process().children(recursive=True):
            for process in descendants:
                _kill(process)
            _kill_group(self.pid)
            psutil.wait_procs(descendants, timeout=0.2)
            self._reap()
        self._reap()
        code = self._code or 0
        return code if code >= 0 else 128 - code

    def _reap(self) -> int | None:
        """Collect every child that ended, adopted ones too."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return self._code
            if pid == 0:
                return self._code
            if pid == self.pid:
                self._code = os.waitstatus_to_exitcode(status)


def _prepare_command() -> None:
    for restored in (signal.SIGINT, signal.SIGHUP):
        signal.signal(restored, signal.SIG_DFL)
    # The keeper itself may be killed: then the kernel ends at least the command.
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def prctl(option: int, value: int) -> None:
    """Linux only, and best effort: elsewhere the pipe has to do."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return


def _kill_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # macOS says EPERM for a group of zombies
        return


if __name__ == "__main__":
    sys.exit(main())
