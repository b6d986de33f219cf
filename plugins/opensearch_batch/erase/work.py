"""The folders of runs below work_uri: shards and what lies beside them. Of a run that has ended a file with wanted rows
is removed whole, because nothing needs it; a run that has not ended would bring its rows back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce
from operator import or_

import msgspec
import orjson

from opensearch_batch import providers
from opensearch_batch.erase.proof import BEGUN, Place
from opensearch_batch.erase.row_names import RowLine, RowNames
from opensearch_batch.errors import InputError
from opensearch_batch.flow.chunks import CHUNK
from opensearch_batch.flow.text_hash import text_hash
from opensearch_batch.land.manifest import Manifest
from opensearch_batch.prepare.grouping import group_name
from opensearch_batch.prepare.run_note import FILE, SHARD, RunNote, read_note
from opensearch_batch.providers.protocol import Provider
from opensearch_batch.storage import names_in, open_binary, remove
from opensearch_batch.submit.claims import FOLDER as CLAIMS

LINES, IDS, FIELDS = ".jsonl", ".ids.jsonl", ".fields.jsonl"
OBJECTS = (LINES, ".json", ".partial")
NO_RUN = ("checkpoints", CLAIMS)


@dataclass(frozen=True)
class WorkFile:
    """`beside` are the files with other parts of the same rows, removed with it."""

    uri: str
    rows: int
    found: int
    beside: tuple[str, ...] = ()


@dataclass
class RunFolder:
    """The files of a run. `notes` are empty for a folder that no preparation of this version made. `names` are requests
    with a wanted row, and `hashes` the hashes of the rows' texts. `shards` counts the shards' files by index.
    """

    uri: str
    notes: list[RunNote]
    files: list[WorkFile] = field(default_factory=list)
    begun: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    hashes: set[str] = field(default_factory=set)
    shards: Counter[int] = field(default_factory=Counter)

    @property
    def key(self) -> str:
        return self.uri.rsplit("/", 1)[-1]

    @property
    def run(self) -> str:
        """The run as a person knows it."""
        return next((note.run for note in self.notes if note.run), self.key)

    @property
    def found(self) -> int:
        return sum(each.found for each in self.files)

    def may_have_more(self) -> bool:
        """Whether a preparation is under way, or was killed: it may have rows that no file has."""
        return any(not note.prepared for note in self.notes)

    def has_ended(self, manifest: Manifest | None, by_hand: Sequence[Manifest] = ()) -> bool:
        """Whether all that was prepared has landed: by the notes, or by manifests, which can tell of one preparation
        alone. `manifest` is the run's own; those of fetches `by_hand` tell together, each of the shards that it landed.
        """
        if self.may_have_more():
            return False
        if self.notes and all(note.landed for note in self.notes):
            return True
        if len(self.notes) > 1:
            return False
        if manifest is not None:
            return self._is_told_by(manifest)
        landed = [_shards_of(each) for each in by_hand if self._is_told_by(each)]
        return bool(landed) and self.shards <= reduce(or_, landed)

    def _is_told_by(self, manifest: Manifest) -> bool:
        return (
            manifest.report.all_landed
            and not manifest.report.unlanded
            and all(_time(manifest.written_at) >= _time(note.began_at) for note in self.notes)
        )

    def places(self) -> Iterator[Place]:
        for each in self.files:
            yield Place("work file", each.uri, each.rows, each.found)
        for uri in self.begun:
            yield Place("work file", uri, 0, 1, note=BEGUN)

    def remove(self) -> None:
        for uri in self.begun:
            remove(uri)
        for each in self.files:
            if each.found:
                for uri in (*each.beside, each.uri):
                    remove(uri)


def by_key(manifests: Iterable[tuple[str, Manifest]]) -> dict[str, Manifest]:
    """Return manifests by the key in the manifest's own name; of several the newest."""
    found = sorted(manifests, key=lambda each: _time(each[1].written_at))
    return {name.removeprefix("manifest-").removesuffix(".json"): manifest for name, manifest in found}


def made_by_hand(manifests: Iterable[Manifest]) -> dict[str, list[Manifest]]:
    """Return the manifests of fetches by hand, whose keys are no folders', by the run's name."""
    found: dict[str, list[Manifest]] = {}
    for manifest in manifests:
        if manifest.dag_id and manifest.run_id and not manifest.spec:
            found.setdefault(f"{manifest.dag_id}/{manifest.run_id}", []).append(manifest)
    return found


def ended(
    folders: Sequence[RunFolder],
    manifests: Mapping[str, Manifest],
    by_hand: Mapping[str, Sequence[Manifest]],
    prepared: Mapping[str, int],
) -> list[RunFolder]:
    """Return the folders of runs that have ended, by their notes, by the manifests as `by_key` returns them, and by
    those that were `made_by_hand`. These tell of a run's only preparation: of several, of other specs too, they may be
    of any. `prepared` counts a run's preparations.
    """

    def has_ended(folder: RunFolder) -> bool:
        told = by_hand.get(folder.run, ()) if prepared.get(folder.run) == 1 else ()
        return folder.has_ended(manifests.get(folder.key), told)

    return [folder for folder in folders if has_ended(folder)]


def preparations(work_uri: str) -> Counter[str]:
    """Count the preparations below work_uri by the run's name, whatever their specs."""
    return Counter(note.run for _, _, notes in _folders(work_uri) for note in notes.values())


def _shards_of(manifest: Manifest) -> Counter[int]:
    return Counter(job.shard for job in manifest.report.jobs if job.shard is not None)


def _time(iso: str) -> datetime:
    return datetime.fromisoformat(iso)


def look_at_work(
    work_uri: str,
    spec_name: str,
    known: Mapping[str, Manifest],
    names: RowNames,
    provider: Provider,
    model: bytes,
) -> Iterator[RunFolder]:
    """Yield the folders of this spec's runs, and those that nobody knows the spec of; `known` are this spec's
    manifests, as `by_key` returns them. `provider` and `model` (a model_hash) are the spec's.
    """
    for key, parts, notes in _folders(work_uri):
        folder = f"{work_uri}/{key}"
        ours = [note for note in notes.values() if note.spec == spec_name]
        if notes and not ours and key not in known:
            continue
        made = RunFolder(folder, ours)
        manifest = known.get(key)
        sent_to = provider_of(manifest, provider) if manifest else provider
        others = {part for part, note in notes.items() if note.spec != spec_name}
        for part in ["", *(part for part in parts if part not in others)]:
            _look_at_part(made, f"{folder}/{part}" if part else folder, names.of(manifest), sent_to, model)
        yield made


def _folders(work_uri: str) -> Iterator[tuple[str, list[str], dict[str, RunNote]]]:
    """Yield the folder of each run: its key, what is in it beside files, and the notes there."""
    for key in sorted(names_in(work_uri)):
        if not key or key.startswith(".") or key in NO_RUN:
            continue
        folder = f"{work_uri}/{key}"
        parts = [name for name in names_in(folder) if name and not name.endswith(OBJECTS)]
        notes = {part: read_note(f"{folder}/{part}") for part in parts if FILE in names_in(f"{folder}/{part}")}
        yield key, parts, notes


def provider_of(manifest: Manifest, default: Provider) -> Provider:
    """The run's own provider: the spec may have had another since. A fetch by hand does not tell."""
    if not manifest.spec:
        return default
    return providers.get(manifest.spec.get("model", {}).get("provider", providers.DEFAULT.NAME))


def _look_at_part(made: RunFolder, folder: str, wanted: RowNames, provider: Provider, model: bytes) -> None:
    names = sorted(names_in(folder))
    made.begun += [f"{folder}/{name}" for name in names if name.startswith(".") and name.endswith(".partial")]
    for name in names:
        if not name.endswith(LINES) or name.startswith(".") or name.endswith((IDS, FIELDS)):
            continue
        uri = f"{folder}/{name}"
        beside = [
            f"{folder}/{each}" for each in names if each.startswith(name.removesuffix(LINES) + ".") and each != name
        ]
        if name.startswith("shard-"):
            made.files.append(_shard(made, uri, beside, wanted, provider, model))
            if shard := SHARD.fullmatch(name):
                made.shards[int(shard[1])] += 1
        else:
            made.files.append(_rows(uri, wanted))


def _rows(uri: str, wanted: RowNames) -> WorkFile:
    rows = found = 0
    decoder = msgspec.json.Decoder(RowLine)
    with open_binary(uri) as lines:
        for line in lines:
            rows += 1
            found += decoder.decode(line).is_of(wanted)
    return WorkFile(uri, rows, found)


def _shard(
    made: RunFolder, uri: str, beside: Sequence[str], wanted: RowNames, provider: Provider, model: bytes
) -> WorkFile:
    rows = found = 0
    fields_uris = [each for each in beside if each.endswith(FIELDS)]
    names_rows = RowNames(wanted.ids, wanted.chunks and any(map(_is_of_chunks, fields_uris)))
    for name, row_ids, texts in _requests(uri, next((each for each in beside if each.endswith(IDS)), None), provider):
        rows += len(row_ids)
        ours = [at for at, row_id in enumerate(row_ids) if row_id in names_rows]
        if ours:
            found += len(ours)
            made.names.add(name)
            made.hashes.update(text_hash(model, texts[at]) for at in ours if at < len(texts))
    for twin in (row_id for each in fields_uris for row_id in _twins(each)):
        rows += 1
        found += twin in names_rows
    return WorkFile(uri, rows, found, tuple(beside))


def _twins(fields_uri: str) -> Iterator[str]:
    """Rows that get the answer of another row with the same text: only the file of included fields names them."""
    with open_binary(fields_uri) as lines:
        for line in lines:
            row_id, _, *first = orjson.loads(line)
            if first:
                yield row_id


def _is_of_chunks(fields_uri: str) -> bool:
    """All rows of a run are chunks, or none is."""
    with open_binary(fields_uri) as lines:
        return CHUNK in orjson.loads(next(iter(lines), b"[0,{}]"))[1]


def _requests(uri: str, ids_uri: str | None, provider: Provider) -> Iterator[tuple[str, list[str], list[str]]]:
    """Name, row ids and texts of each request."""
    with open_binary(uri) as lines, open_binary(ids_uri) if ids_uri else nullcontext() as ids_lines:
        for number, raw in enumerate(lines, start=1):
            try:
                line = orjson.loads(raw)
                row_ids = orjson.loads(next(ids_lines)) if ids_lines else [provider.request_id(line)]
                texts = provider.texts(line)
            except (ValueError, KeyError, StopIteration) as error:
                raise InputError(
                    f"{uri} line {number}: no request of {provider.NAME} ({error!r}): another spec's, or broken. "
                    "Nothing was removed. Remove the file where no run needs it"
                ) from error
            yield group_name(row_ids) if ids_lines else row_ids[0], row_ids, texts
