"""``python -m tests.wheel.plain 3.11 3.12``: the wheel of dist/ into a plain Airflow of each of these Pythons.

Fetches what it installs. Says of each Python what pip changed, and fails where an installed version moved, pip finds a
conflict, or Airflow does not list the package's hooks and links without a plugins folder.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from opensearch_batch.provider_info import get_provider_info
from stack.wheel import DIST

AIRFLOW = "apache-airflow==3.3.2"
UV = Path(sys.executable).with_name("uv")


def main(pythons: list[str]) -> int:
    [wheel] = DIST.glob("*.whl")
    problems = [problem for version in pythons for problem in tried(version, wheel)]
    print("\n".join(problems) or f"{wheel.name}: nothing moved, all is listed")
    return 1 if problems else 0


def tried(version: str, wheel: Path) -> list[str]:
    with tempfile.TemporaryDirectory(prefix=f"plain-{version}-") as folder:
        python = Path(folder) / "bin" / "python"
        _run(str(UV), "venv", "--quiet", "--seed", "--clear", "--python", version, folder)
        _run(str(UV), "pip", "install", "--quiet", "--python", str(python), AIRFLOW)
        before = _frozen(python)
        _run(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel))
        after = _frozen(python)
        moved = [f"{name} {before[name]} -> {after.get(name)}" for name in before if before[name] != after.get(name)]
        print(f"Python {version}: {len(before)} pins before, {len(moved)} moved, {len(after.keys() - before)} added")
        _run(str(python), "-m", "pip", "check")
        missing = _missing(python, Path(folder))
    return [f"Python {version}: {each}" for each in (*moved, *(f"{name} is not listed" for name in missing))]


def _frozen(python: Path) -> dict[str, str]:
    lines = _run(str(python), "-m", "pip", "freeze", "--disable-pip-version-check").splitlines()
    return {line.partition("==")[0].partition(" @")[0]: line for line in lines}


def _missing(python: Path, home: Path) -> list[str]:
    """Of the names in the provider info, those that ``airflow providers`` does not show."""
    info = get_provider_info()
    env = os.environ | {"AIRFLOW_HOME": str(home / "home"), "PYTHONPATH": "", "COLUMNS": "300"}
    asked = ("list", "hooks", "links")
    shown = [_run(str(python), "-m", "airflow", "providers", what, "--output", "json", env=env) for what in asked]
    types = [each["connection-type"] for each in info["connection-types"]]
    return [name for name in (info["package-name"], *types, *info["extra-links"]) if f'"{name}"' not in "".join(shown)]


def _run(*command: str, env: dict[str, str] | None = None) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=env).stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
