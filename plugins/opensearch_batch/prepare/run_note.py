"""Run note: whose files lie in a folder of a preparation, and whether the preparation is complete."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec
import orjson
from msgspec.structs import replace

from opensearch_batch.errors import InputError
from opensearch_batch.flow.values import Value
from opensearch_batch.storage import exists, names_in, open_binary, write_object

SHARD = re.compile(r"shard-(\d+)\.jsonl")
FILE = "run.json"
"""In the folder of a preparation, written before anything else."""


class RunNote(Value, frozen=True):
    """`run` is the run's name, DAG and run id; empty outside Airflow. `began_at` is an ISO 8601 time, in seconds.
    `landed` says that nothing of what was prepared is under way any more, also after the run's manifest was cleaned up.
    """

    spec: str
    run: str
    run_key: str
    began_at: str
    prepared: bool = False
    landed: bool = False


def preparation_folder(work_uri: str, run_key: str, task: str) -> str:
    """Return the URI of the folder in which a task of a run prepares; `task` is `instance` of the task."""
    return f"{work_uri}/{run_key}/{task}"


def whole_preparations(shard_uris: Iterable[str]) -> list[str]:
    """Return the folders of preparations of which `shard_uris` has every shard."""
    folders: dict[str, set[str]] = {}
    for uri in shard_uris:
        folder, _, name = uri.rpartition("/")
        folders.setdefault(folder, set()).add(name)
    return [folder for folder, names in folders.items() if names >= set(filter(SHARD.fullmatch, names_in(folder)))]


def note_of(spec_name: str, run_name: str, run_key: str) -> RunNote:
    return RunNote(spec_name, run_name, run_key, datetime.now(UTC).isoformat(timespec="seconds"))


def write_note(folder: str, note: RunNote) -> None:
    write_object(f"{folder}/{FILE}", orjson.dumps(note.to_dict()))


def note_landed(folder: str) -> None:
    """Say so in the note of a preparation, where there is one still."""
    if exists(f"{folder}/{FILE}"):
        write_note(folder, replace(read_note(folder), landed=True))


def is_under_way(folder: str) -> bool:
    """Whether a preparation there is complete, and has not landed. Raise InputError as `read_note` does."""
    if not exists(f"{folder}/{FILE}"):
        return False
    note = read_note(folder)
    return note.prepared and not note.landed


def read_note(folder: str) -> RunNote:
    """Raise InputError for another object."""
    with open_binary(f"{folder}/{FILE}") as source:
        try:
            return msgspec.json.decode(source.read(), type=RunNote)
        except msgspec.DecodeError as error:
            raise InputError(f"{folder}/{FILE}: not a run note of this version: {error}") from error
