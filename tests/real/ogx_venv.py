"""``python -m tests.real.ogx_venv``: ogx in a venv of its own, beside the releases of OpenSearch in the user's cache.

ogx (https://pypi.org/project/ogx/) serves OpenAI's Files and Batches APIs and runs a batch against any compatible model
server: an implementation of the API that is not this project's. It needs Python 3.12, and ogx.lock has its exact
versions. The venv is made once for each lock, with the network that the tests themselves do not have.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from stack.opensearch import layout
from stack.processes import StackError

LOCK = Path(__file__).with_name("ogx.lock")
PYTHON = (3, 12)
SETTING = "OGX_PYTHON"
UV = Path(sys.executable).with_name("uv")
SECONDS = 600


def home() -> Path:
    """Where the venv is or will be."""
    return layout.cache() / f"ogx-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:8]}"


def program() -> Path:
    """The `ogx` command; raises StackError where it has not been fetched."""
    found = home() / "bin" / "ogx"
    if not found.exists():
        raise StackError(f"ogx is not in {home()}: `make test-real` fetches it (python -m tests.real.ogx_venv)")
    return found


def made() -> Path:
    """The venv; where it is not there yet it is made, under another name until it is whole: some 200 MB."""
    if (home() / "bin" / "ogx").exists():
        return home()
    home().parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="ogx-", dir=home().parent) as scratch:
        _uv("venv", "--quiet", "--clear", "--python", interpreter(), "--relocatable", f"{scratch}/venv")
        _uv("pip", "sync", "--quiet", "--python", f"{scratch}/venv/bin/python", str(LOCK))
        try:
            Path(scratch, "venv").rename(home())
        except OSError:
            if not home().exists():  # else another one was first
                raise
    return home()


def interpreter() -> str:
    """A Python 3.12 of this machine; where there is none the version alone, of which uv may fetch one of its own."""
    return next((str(path) for path in _candidates() if _version(path) == PYTHON), ".".join(map(str, PYTHON)))


def _candidates() -> Iterator[Path]:
    """A version manager's shim is on the PATH whether or not that version is switched on, so those are asked too."""
    name = f"python{PYTHON[0]}.{PYTHON[1]}"
    if given := os.environ.get(SETTING):
        yield Path(given)
    if on_path := shutil.which(name):
        yield Path(on_path)
    yield from sorted(Path.home().glob(f".pyenv/versions/*/bin/{name}"), reverse=True)


def _version(python: Path) -> tuple[int, ...]:
    """Empty for what does not run."""
    command = [str(python), "-c", "import sys; print(*sys.version_info[:2])"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(map(int, said.split()))


def _uv(*arguments: str) -> None:
    ended = subprocess.run([UV, *arguments], capture_output=True, text=True, timeout=SECONDS, check=False)
    if ended.returncode != 0:
        raise StackError(
            f"uv {arguments[0]} failed; ogx needs Python 3.12 ({SETTING} names one): {ended.stderr[-2000:]}"
        )


def main() -> int:
    began = time.monotonic()
    try:
        made()
    except StackError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{time.monotonic() - began:6.1f} s  {home()}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
