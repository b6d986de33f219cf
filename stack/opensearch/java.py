"""The JDK for a release: named in one setting, or found where JDKs usually are."""

from __future__ import annotations

import itertools
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from stack.processes import StackError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stack.opensearch.releases import Release

SETTING = "OPENSEARCH_JAVA_HOME"
USUAL = ("/usr/lib/jvm/*", "/opt/*jdk*", "/opt/java/*", "/Library/Java/JavaVirtualMachines/*/Contents/Home")


def java_home(wanted: Release) -> Path:
    """Raises StackError where no JDK of a version is found that the release starts on."""
    found = {version: home for home in reversed(list(_candidates())) if (version := _major(home))}
    for version in wanted.java:
        if version in found:
            return found[version]
    versions = " or ".join(map(str, wanted.java))
    there = ", ".join(f"{version} in {home}" for version, home in sorted(found.items())) or "none"
    raise StackError(
        f"OpenSearch {wanted.version} needs JDK {versions}; found: {there}. "
        f"Name its folder in {SETTING} (several, separated by {os.pathsep!r})"
    )


def _candidates() -> Iterator[Path]:
    """The setting's first, then JAVA_HOME, the one on the PATH, the usual places."""
    named = os.environ.get(SETTING, "").split(os.pathsep) + [os.environ.get("JAVA_HOME", "")]
    yield from (Path(home) for home in named if home)
    if on_path := shutil.which("java"):
        yield Path(on_path).resolve().parent.parent
    sdkman = Path.home() / ".sdkman" / "candidates" / "java"
    yield from itertools.chain(*(sorted(Path("/").glob(pattern[1:])) for pattern in USUAL), sorted(sdkman.glob("*")))


def _major(home: Path) -> int | None:
    """As its `release` file says; None where this is no JDK."""
    release = home / "release"
    if not release.is_file() or not (home / "bin" / "java").exists():
        return None
    version = re.search(r'(?m)^JAVA_VERSION="(\d+)', release.read_text())
    return int(version[1]) if version else None


def has_module(home: Path, name: str) -> bool:
    release = (home / "release").read_text()
    return re.search(rf'(?m)^MODULES=".*\b{re.escape(name)}\b', release) is not None
