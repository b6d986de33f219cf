"""What the version before wrote (stored/README.md) is read, and written again to the same JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from opensearch_batch.flow.data_files import DataFile
from opensearch_batch.flow.jobs import Job, Outcome
from opensearch_batch.flow.landed import Example, Landed
from opensearch_batch.flow.shards import Shard
from opensearch_batch.flow.values import Value
from opensearch_batch.land.manifest import Manifest, ManifestFile
from opensearch_batch.land.repair import Taken
from opensearch_batch.land.report import Fetched, Report, ReportedJob
from opensearch_batch.prepare.plan import Plan
from opensearch_batch.prepare.preflight import Preflight
from opensearch_batch.submit.admission import Wanted
from opensearch_batch.submit.note import Note
from opensearch_batch.wait.progress import Progress

STORED = Path(__file__).parent / "stored"

SIGNS: dict[type[Value], set[str]] = {
    Shard: {"index", "sha256"},
    Job: {"provider_job_id", "parameters"},
    Outcome: {"job", "requests_total"},
    Landed: {"job", "answered"},
    Taken: {"sources"},
    Report: {"absent"},
    ReportedJob: {"provider_job_id", "round"},
    DataFile: {"uri", "rows"},
    ManifestFile: {"uri", "rows", "kind"},
    Example: {"id", "code", "message"},
    Fetched: {"landed", "report"},
    Manifest: {"written_at"},
    Note: {"attempt", "known"},
    Plan: {"run_key"},
    Preflight: {"window_hours"},
    Progress: {"rows_done"},
    Wanted: {"below_until"},
}
"""Keys that only this noun has together; a noun with more of them goes before."""


def nouns_in(value: Any) -> Iterator[tuple[type[Value], dict[str, Any]]]:
    if isinstance(value, dict):
        if fits := [noun for noun, signs in SIGNS.items() if signs <= value.keys()]:
            yield max(fits, key=lambda noun: len(SIGNS[noun])), value
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from nouns_in(inner)


def stored(name: str) -> Any:
    return json.loads((STORED / name).read_text(encoding="utf-8"))


FOUND = [
    pytest.param(noun, value, id=f"{path.stem}-{noun.__name__}-{number}")
    for path in sorted(STORED.glob("*.json"))
    for number, (noun, value) in enumerate(nouns_in(stored(path.name)))
]


def test_every_noun_is_among_what_is_stored() -> None:
    assert {found.values[0] for found in FOUND} == set(SIGNS)


@pytest.mark.parametrize(("noun", "value"), FOUND)
def test_a_stored_value_is_written_again_as_it_was(noun: type[Value], value: dict[str, Any]) -> None:
    assert json.dumps(noun.from_dict(value).to_dict()) == json.dumps(value)
