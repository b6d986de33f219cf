"""The package as users install it: its wheel, and a Python that has it over the locked packages of this one.

``python -m stack.wheel build`` writes dist/, ``python -m stack.wheel install`` makes .venv-wheel too, whose Python runs
the stack without a plugins folder.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from hatchling.builders.wheel import WheelBuilder

from stack.airflow import CHECKOUT
from stack.venvs import over_locked

DIST = CHECKOUT / "dist"
VENV = CHECKOUT / ".venv-wheel"


def build(folder: Path = DIST) -> Path:
    """The checkout's wheel; whatever lay in the folder under its name is replaced."""
    return Path(next(WheelBuilder(str(CHECKOUT)).build(directory=str(folder), versions=["standard"])))


def install(wheel: Path, folder: Path = VENV) -> Path:
    """Make a venv that has the wheel, and beside it what this Python has; return its Python."""
    python = over_locked(folder)
    uv = [str(Path(sys.executable).with_name("uv")), "pip", "install", "--quiet", "--offline", "--no-deps"]
    subprocess.run([*uv, "--python", str(python), str(wheel)], check=True)
    return python


def main(command: str) -> None:
    wheel = build()
    print(wheel.relative_to(CHECKOUT), flush=True)
    if command == "install":
        print(install(wheel).relative_to(CHECKOUT), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
