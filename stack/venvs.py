"""Venvs that have what this Python has, and something more: the locked packages lie on the disk once."""

from __future__ import annotations

import sysconfig
import venv
from pathlib import Path


def over_locked(folder: Path) -> Path:
    """Make a venv over the packages of this Python, none of its own in it; return its Python."""
    venv.create(folder, clear=True, symlinks=True)
    paths = {"base": str(folder), "platbase": str(folder)}
    (Path(sysconfig.get_path("purelib", "venv", paths)) / "locked.pth").write_text(
        f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
    )
    return folder / "bin" / "python"
