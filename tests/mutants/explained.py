"""Explained: the survivors that change nothing a test could see, each with a reason, by what stood there before."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "explained.toml"

Key = tuple[str, str, str]


def key_of(mutant: dict[str, Any]) -> Key:
    """File, what stood there, what stands there: line numbers move."""
    return mutant["file"].removeprefix("plugins/opensearch_batch/"), mutant["before"], mutant["after"]


def explained(text: str) -> dict[Key, str]:
    """Return the reasons; raise ValueError for an entry without one."""
    found = {}
    for each in tomllib.loads(text).get("equivalent", ()):
        if not each["why"].strip():
            raise ValueError(f"no reason is given for {each['before']!r} in {each['file']}")
        found[each["file"], each["before"], each.get("after", "")] = each["why"]
    return found


def reason_of(mutant: dict[str, Any], reasons: dict[Key, str]) -> str | None:
    """Return the reason for this change, or for whatever change of the line."""
    file, before, after = key_of(mutant)
    return reasons.get((file, before, after), reasons.get((file, before, "")))
