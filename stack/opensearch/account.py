"""Whom OpenSearch runs as: it refuses root, so root makes a system user for it and removes it afterwards."""

from __future__ import annotations

import os
import pwd
import subprocess
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import psutil  # type: ignore[import-untyped]

from stack.processes import StackError

if TYPE_CHECKING:
    from types import TracebackType

PREFIX = "osbatch-"
NOLOGIN = "/usr/sbin/nologin"


class Account:
    """As a context manager; ``name`` is None where the caller is no root and the node can be his own process.

    Users that killed runs left behind are removed on the way, unless a process of theirs still lives.
    """

    def __init__(self) -> None:
        self.name: str | None = None

    def __enter__(self) -> Account:
        self.make()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    def make(self) -> None:
        if os.geteuid() != 0:
            return
        for name in _left_over():
            _remove(name)
        name = f"{PREFIX}{uuid.uuid4().hex[:8]}"
        _run("useradd", "--system", "--no-create-home", "--home-dir", "/nonexistent", "--shell", NOLOGIN, name)
        self.name = name

    def remove(self) -> None:
        """All processes of the user must have ended."""
        if self.name is not None:
            _remove(self.name)
            self.name = None

    def own(self, folder: Path) -> None:
        """Give it the folder with all in it, and let it pass through the folders above."""
        if self.name is None:
            return
        entry = pwd.getpwnam(self.name)
        for path in (folder, *folder.rglob("*")):
            os.chown(path, entry.pw_uid, entry.pw_gid, follow_symlinks=False)
        for parent in folder.resolve().parents:
            mode = parent.stat().st_mode
            if not mode & 0o001:
                parent.chmod(mode | 0o001)


def _left_over() -> list[str]:
    """One of ours without a process: its maker takes a second at most from making it to starting the first."""
    busy = {process.info["username"] for process in psutil.process_iter(["username"])}
    return [user.pw_name for user in pwd.getpwall() if user.pw_name.startswith(PREFIX) and user.pw_name not in busy]


def _remove(name: str) -> None:
    _run("userdel", name)


def _run(*command: str) -> None:
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    if ended.returncode != 0:
        raise StackError(f"{' '.join(command)}: {ended.stderr.strip() or ended.returncode}")
