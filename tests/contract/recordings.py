"""The recorded exchanges, and what it means that an answer agrees with one.

Masked are ids (one recorded id must stand for one of ours throughout a play), times, counters of writes, search scores
and the name of the build; in texts also addresses. The names in an object have no order, also where the provider saw
it as text. Everything else must be equal, JSON types included.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "exchanges"
# 20 characters for documents, 22 for nodes and indices; a capital keeps snake_case words of that length out.
ID = re.compile(r"(?<![\w-])(?=[\w-]*[A-Z])(?:[\w-]{22}|[\w-]{20})(?![\w-])", re.ASCII)
HOST = re.compile(r"/?(localhost|127\.0\.0\.1|198\.51\.100\.10)(:\d+)?")
CHARACTER = re.compile(r"(?<=at index )\d+|(?<=required seqNo \[)\d+|(?<=current document has seqNo \[)\d+")
# Of a connection that was cut: its ports and times. Of an unknown host: Java's resolver explains itself the first time.
EXTRAS = re.compile(r" Channel Information: ChannelDiagnostics\(.*\)$|: Name or service not known$")
# `sort` repeats what was sorted by, which is a time.
TIMES = {"create_time", "created_time", "last_update_time", "last_updated_time", "last_deployed_time", "took", "sort"}
COUNTERS = {"_seq_no", "_version", "_score", "max_score"}
# Who answers GET /, by a field that stands beside them.
BUILD = {"tagline": {"name", "cluster_name"}, "build_hash": {"build_type", "build_hash", "build_date"}}


@dataclass(frozen=True)
class Exchange:
    name: str
    method: str
    path: str
    body: Any
    status: int
    answer: Any
    provider_saw: list[dict[str, Any]] = field(default_factory=list)

    @property
    def number(self) -> str:
        """The first three characters: unique from 001 to 242."""
        return self.name[:3]


def load(name: str) -> list[Exchange]:
    return [_exchange(json.loads(line)) for line in (FOLDER / f"{name}.jsonl").read_text().splitlines()]


def _exchange(line: dict[str, Any]) -> Exchange:
    request, response = line["request"], line["response"]
    return Exchange(
        name=line["name"],
        method=request["method"],
        path=request["path"],
        body=request["body"],
        status=response["status"],
        answer=response["body"],
        provider_saw=line.get("provider_saw", []),
    )


class Ids:
    """Recorded id to ours, learned from answers."""

    def __init__(self) -> None:
        self._ours: dict[str, str] = {}

    def __getitem__(self, recorded: str) -> str:
        return self._ours[recorded]

    def __contains__(self, recorded: str) -> bool:
        return recorded in self._ours

    def same(self, recorded: str, ours: str) -> bool:
        return self._ours.setdefault(recorded, ours) == ours

    def translate(self, text: str) -> str:
        """Every recorded id in it replaced by ours."""
        return ID.sub(lambda found: self._ours.get(found[0], found[0]), text)


def differences(recorded: Any, ours: Any, ids: Ids, path: str = "", key: str = "") -> Iterator[str]:
    """One line for each place where they differ; learns ids on the way."""
    if isinstance(recorded, dict) and isinstance(ours, dict):
        yield from _of_objects(recorded, ours, ids, path)
    elif isinstance(recorded, list) and isinstance(ours, list):
        if len(recorded) != len(ours):
            yield f"{path}: {len(recorded)} items, here {len(ours)}"
        for index, (left, right) in enumerate(zip(recorded, ours, strict=False)):
            yield from differences(left, right, ids, f"{path}[{index}]", key)
    elif not _same(recorded, ours, ids, key):
        yield f"{path}: {_short(recorded)}, here {_short(ours)}"


def _of_objects(recorded: dict[str, Any], ours: dict[str, Any], ids: Ids, path: str) -> Iterator[str]:
    known = {}
    for name in recorded:
        # An id as a key: the node in the answer of an undeployment, and the model below it.
        twin = ids.translate(name)
        if twin not in ours and len(recorded) == len(ours) == 1 and ID.fullmatch(name):
            (only,) = ours
            twin = only if ID.fullmatch(only) and ids.same(name, only) else twin
        known[name] = twin
    for name in sorted(set(known.values()) ^ set(ours)):
        yield f"{path}.{name}: {'not here' if name not in ours else 'only here'}"
    masked = {name for beside, names in BUILD.items() if beside in recorded for name in names}
    for name, twin in known.items():
        if twin in ours and not (name in masked and isinstance(ours[twin], str)):
            yield from differences(recorded[name], ours[twin], ids, f"{path}.{name}", name)


def _same(recorded: Any, ours: Any, ids: Ids, key: str) -> bool:
    if type(recorded) is not type(ours):
        return False
    if (key in TIMES and isinstance(recorded, int)) or (key in COUNTERS and isinstance(recorded, int | float)):
        return True
    if not isinstance(recorded, str):
        return bool(recorded == ours)
    if ID.fullmatch(recorded) and ID.fullmatch(ours):
        return ids.same(recorded, ours)
    left, right = _plain(ids.translate(recorded)), _plain(ours)
    return left == right or (key == "body" and _equal_but_for_order(left, right))


def _plain(text: str) -> str:
    return CHARACTER.sub("N", HOST.sub("HOST", EXTRAS.sub("", text)))


def _equal_but_for_order(left: str, right: str) -> bool:
    """JSON texts whose names come in another order, written alike otherwise."""
    try:
        return bool(json.loads(left) == json.loads(right)) and sorted(left) == sorted(right)
    except ValueError:
        return False


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 300 else f"{text[:300]}…"
