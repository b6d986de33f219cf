"""``python -m stack.celery_venv``: .venv-celery, a venv that has celery.lock over the packages of this Python.

Only several machines need Celery, so requirements.lock is without it. The lock names what comes to requirements.lock:

    uv pip compile --constraints requirements.lock --no-annotate - <<< 'apache-airflow-providers-celery
    celery[redis]'
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from stack.airflow import CHECKOUT
from stack.venvs import over_locked

LOCK = Path(__file__).with_name("celery.lock")
VENV = CHECKOUT / ".venv-celery"


def make(folder: Path = VENV) -> Path:
    """Make the venv anew; return its Python. Raises CalledProcessError where a package cannot be fetched."""
    python = over_locked(folder)
    uv = [str(Path(sys.executable).with_name("uv")), "pip", "install", "--quiet", "--compile-bytecode", "--no-deps"]
    subprocess.run([*uv, "--python", str(python), "--requirements", str(LOCK)], check=True)
    return python


if __name__ == "__main__":
    print(make().relative_to(CHECKOUT), flush=True)
