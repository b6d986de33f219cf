"""What _source has of a field: documents are read from there, and an index may search what no document has."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def why_not_in_source(mapping: Mapping[str, Any], path: str, field: Mapping[str, Any]) -> str | None:
    """Say why no document has a field in its _source, and what to name instead; None where documents may have it.
    `field` is the field's own mapping.
    """
    if field.get("type") == "alias":
        return f"{path!r} is an alias in the mapping, and documents have only {field.get('path')!r}: name that"
    if copied := sorted(name for name, targets in _copied(mapping, "") if path in targets):
        return (
            f"{path!r} is filled by copy_to, and documents have only {', '.join(map(repr, copied))}: name these, in "
            "input.prompt or input.template where they are several"
        )
    if not _is_kept(mapping.get("_source") or {}, path):
        return (
            f"the mapping keeps {path!r} out of _source, and only a new index has it there: name another field, or "
            "read the texts from where the index has them from"
        )
    return None


def _copied(mapping: Mapping[str, Any], above: str) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield each field that is copied, with where to."""
    for name, field in (mapping.get("properties") or {}).items():
        targets = field.get("copy_to") or []
        yield above + name, [targets] if isinstance(targets, str) else targets
        yield from _copied(field, f"{above}{name}.")


def _is_kept(rule: Mapping[str, Any], path: str) -> bool:
    if rule.get("enabled") is False:
        return False
    includes, excludes = rule.get("includes") or [], rule.get("excludes") or []
    return (not includes or _names(includes, path)) and not _names(excludes, path)


def _names(patterns: Sequence[str], path: str) -> bool:
    """Whether a pattern names the field, or an object that it lies in."""
    names = path.split(".")
    above = [".".join(names[: number + 1]) for number in range(len(names))]
    wanted = [re.compile(re.escape(pattern).replace(r"\*", ".*")) for pattern in patterns]
    return any(pattern.fullmatch(each) for pattern in wanted for each in above)
