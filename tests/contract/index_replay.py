"""Plays the recorded exchanges about indices and documents against the sandbox.

A line whose `response` is null was sent to the real server too, and prepares those after it. `opens` names the point in
time that a call opened, which calls after it use. `masks` are counters that go on from writes which are not carried.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from sandbox.server import Sandbox
from tests.contract.recordings import COUNTERS, FOLDER, Ids, differences

PROFILES = ("2.19.6", "3.6.0")
PLAYS = ("index", "gate", "swap")
"""Each recorded on a server of its own: indices and documents, what the parity gate and preflight ask, and what a run
beside an index asks.
"""
# Where Jackson stopped reading, which context of a shard was looked for, an index's uuid in the middle of a text.
UNLIKE = re.compile(r"\[Source: REDACTED.*|(?<=found for id \[)\d+|(?<=\[)([\w-]+)/[\w-]{22}(?=\])", re.DOTALL)
TIMES = {"creation_time", "creation_date", "index.creation_date"}
EXACT = COUNTERS | {"sort"}


@dataclass(frozen=True)
class Step:
    name: str
    method: str
    path: str
    body: Any
    response: dict[str, Any] | None
    opens: str | None
    masks: frozenset[str]


@dataclass(frozen=True)
class Compared:
    name: str
    differences: tuple[str, ...]


def steps(profile: str, of: str) -> list[Step]:
    lines = map(json.loads, (FOLDER / f"{profile}-{of}.jsonl").read_text(encoding="utf-8").splitlines())
    return [
        Step(line["name"], **line["request"], response=line["response"], opens=line.get("opens"),
             masks=frozenset(line.get("masks", ())))
        for line in lines
    ]  # fmt: skip


def play(profile: str, of: str, folder: Path) -> list[Compared]:
    """The recorded exchanges in their order, each with what is another here."""
    ids, points = Ids(), dict[str, str]()
    with Sandbox(folder, profile=profile) as box, httpx.Client(base_url=box.url, trust_env=False, timeout=30) as http:
        return [found for step in steps(profile, of) if (found := _compared(step, http, ids, points))]


def _compared(step: Step, http: httpx.Client, ids: Ids, points: dict[str, str]) -> Compared | None:
    answer = http.request(step.method, step.path, **_sent(step.body, ids, points))
    ours: Any = answer.json() if answer.content else None
    if step.opens:
        points[step.opens] = ours["pit_id"]
    if step.response is None:
        return None
    status, recorded = step.response["status"], step.response["body"]
    found = [] if status == answer.status_code else [f"status: {status}, here {answer.status_code}"]
    found += differences(_plain(recorded, step.masks, {}), _plain(ours, step.masks, points), ids)
    return Compared(step.name, tuple(found))


def _sent(body: Any, ids: Ids, points: dict[str, str]) -> dict[str, Any]:
    if body is None:
        return {}
    text = body if isinstance(body, str) else json.dumps(body)
    for name, id_ in points.items():
        text = re.sub(rf'"{name}"', f'"{id_}"', text)
    return {"content": ids.translate(text).encode(), "headers": {"Content-Type": "application/json"}}


def _plain(value: Any, masks: frozenset[str], points: dict[str, str], key: str = "") -> Any:
    """Without times and marks of one run; numbers that other exchanges mask are text here, and so compared."""
    if isinstance(value, dict):
        return {name: _plain(item, masks, points, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, masks, points, key) for item in value]
    if key in masks:
        return "counted"
    if key in TIMES:
        return "a time"
    if isinstance(value, int | float) and not isinstance(value, bool) and key in EXACT:
        return f"{value:.5g}" if isinstance(value, float) else f"{value}"
    if isinstance(value, str):
        named = {id_: name for name, id_ in points.items()}
        return named.get(value, UNLIKE.sub(r"\1", value))
    return value
