"""Venvs of the references, each made at its first use, in the user's cache."""

from __future__ import annotations

import subprocess
import sys
from functools import cache

import platformdirs


@cache
def python_with(name: str, *requirements: str) -> str:
    """The interpreter of the venv of this name."""
    home = platformdirs.user_cache_path("opensearch-batch") / f"{name}-{sys.version_info[0]}.{sys.version_info[1]}"
    found = home / "bin" / "python"
    if not (home / ".installed").exists():
        uv = [sys.executable, "-m", "uv"]
        subprocess.run([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, home], check=True)
        subprocess.run([*uv, "pip", "install", "--quiet", "--python", found, *requirements], check=True)
        (home / ".installed").touch()
    return str(found)
