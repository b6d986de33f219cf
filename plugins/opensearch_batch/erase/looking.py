"""One look at every place where a spec's runs may have left a document."""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from opensearch_batch import providers
from opensearch_batch.erase.indexed import Indexed, Indices
from opensearch_batch.erase.kept import MadeIndex
from opensearch_batch.erase.left_ids import look_at_checkpoint
from opensearch_batch.erase.naming import Naming
from opensearch_batch.erase.noted import Sidecar, look_at_sidecars
from opensearch_batch.erase.order import ANY, FOLDER, Order
from opensearch_batch.erase.outputs import OutputFolder, folders_of, look_at_output, manifests_in, moved_by
from opensearch_batch.erase.proof import Place
from opensearch_batch.erase.provider_files import ProviderFile, Wanted, look_at_provider
from opensearch_batch.erase.row_names import RowNames, has_chunks, names_of
from opensearch_batch.erase.work import (
    RunFolder,
    by_key,
    ended,
    look_at_work,
    made_by_hand,
    preparations,
    provider_of,
)
from opensearch_batch.land.manifest import Manifest
from opensearch_batch.land.report import ReportedJob
from opensearch_batch.providers.store import ProviderStore
from opensearch_batch.reuse.moved import Forgotten, counted
from opensearch_batch.sources.checkpoint import checkpoint_uri
from opensearch_batch.sources.hashed import hash_of_model
from opensearch_batch.spec import BatchSpec

OpenStore = Callable[[BatchSpec], ProviderStore]


@dataclass
class Looked:
    """What one look has found."""

    specs: list[BatchSpec]
    ids: frozenset[str]
    names: RowNames
    folders: list[OutputFolder] = field(default_factory=list)
    work: list[RunFolder] = field(default_factory=list)
    ended: list[RunFolder] = field(default_factory=list)
    unknown: list[RunFolder] = field(default_factory=list)
    indices: Indices | None = None
    reported: set[str] = field(default_factory=set)
    """Indices that a run has filled beside an alias whose manifest is there."""
    indexed: list[Indexed] = field(default_factory=list)
    doubtful: dict[str, set[str]] = field(default_factory=dict)
    """By index the documents that may be others than those of the order, and stay."""
    sidecars: list[Sidecar] = field(default_factory=list)
    at_provider: list[tuple[ProviderStore, list[ProviderFile]]] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    hashes: set[str] = field(default_factory=set)

    @property
    def unfinished(self) -> list[RunFolder]:
        """Runs that would bring a wanted row back, or may have one that no file has yet."""
        settled = {each.uri for each in (*self.ended, *self.unknown)}
        return [each for each in self.work if each.uri not in settled and (each.found or each.may_have_more())]

    @property
    def unfinished_indices(self) -> list[MadeIndex]:
        """Indices of runs that have not ended, with a wanted document; one that is being copied may get any."""
        ended = {each.key for each in self.ended}
        prepared = {note.run_key for folder in self.work for note in folder.notes if note.prepared}
        with_rows = {each.index for each in self.indexed} | self.doubtful.keys()
        return [
            each
            for each in (self.indices and self.indices.made_beside) or ()
            if not each.is_used
            and each.name not in self.reported
            and each.key not in ended
            and (each.name in with_rows or each.key not in prepared)
        ]

    @property
    def naming(self) -> Naming:
        return self.indices.naming if self.indices else Naming((), is_told=True)

    @property
    def provider_files(self) -> list[ProviderFile]:
        return [each for _, files in self.at_provider for each in files]

    @property
    def records(self) -> list[str]:
        """Folders of reuse records."""
        uris = [spec.reuse.uri.rstrip("/") for spec in self.specs if spec.reuse]
        return sorted({uri for uri in uris if ANY not in uri})

    @property
    def forgotten(self) -> Forgotten:
        """Looks for each results file once, and is made anew at each look at the record."""
        return Forgotten({bytes.fromhex(each) for each in self.hashes})

    @property
    def checkpoints(self) -> list[str]:
        return sorted({uri for spec in self.specs if ANY not in (uri := checkpoint_uri(spec))})


def look(
    order: Order,
    ids: frozenset[str],
    open_store: OpenStore,
    hashes: Iterable[str] = (),
    before: Iterable[Place] = (),
) -> Looked:
    """Look everywhere; nothing is changed. `hashes` are known hashes of the documents' texts, `before` the places of
    the first look of an erasure under way.
    """
    spec = order.every_run
    manifests = manifests_of(order)
    runs = named(manifests)
    names = names_of(spec, ids, (manifest for _, manifest in runs))
    folders = [look_at_output(uri, found, names) for uri, found in manifests.items()]
    looked = Looked([spec, *_specs(runs)], ids, names, folders, hashes=set(hashes))
    for folder in folders:
        looked.places += folder.places(names)
        looked.hashes |= {each for scanned in folder.with_rows for each in scanned.hashes}
    _look_at_work(looked, runs)
    if spec.input.is_index:
        _look_at_indices(looked, order, [manifest for _, manifest in runs])
    _look_at_providers(looked, runs, open_store, {place.at for place in before if place.found})
    looked.places += _look_at_records(looked)
    looked.places += filter(None, (look_at_checkpoint(uri, looked.naming, ids) for uri in looked.checkpoints))
    return looked


def manifests_of(order: Order) -> dict[str, dict[str, Manifest]]:
    """Return the manifests of all runs by folder and name."""
    own = ANY.join(map(glob.escape, order.every_run.output.uri.split(ANY)))
    patterns = [own, *order.output_uris]
    uris = sorted({folder for pattern in patterns for folder in folders_of(pattern)})
    return {uri: manifests_in(uri) for uri in uris if not uri.endswith(f"/{FOLDER}")}


def named(manifests: Mapping[str, Mapping[str, Manifest]]) -> list[tuple[str, Manifest]]:
    """Return the manifests of all folders, each with its name."""
    return [(name, manifest) for found in manifests.values() for name, manifest in found.items()]


def _look_at_indices(looked: Looked, order: Order, manifests: list[Manifest]) -> None:
    looked.indices = indices = Indices(order, looked.specs, manifests)
    looked.reported = {str(each.spec.get("input", {}).get("uri", "")).rpartition("/")[2] for each in manifests}
    for index, rows, found in indices.look(looked.ids):
        erased = [each for each in found if each.is_sure or order.unknown == "delete"]
        looked.places.append(Place("index", indices.uri(index), rows, len(erased)))
        looked.indexed += erased
        looked.hashes |= {each for document in erased for each in document.hashes}
        if doubtful := {each.id for each in found} - {each.id for each in erased}:
            looked.doubtful[index] = doubtful
    looked.sidecars = list(look_at_sidecars(looked.specs, indices, looked.ids, looked.doubtful))
    looked.places += [sidecar.place for sidecar in looked.sidecars]
    looked.hashes |= {each for sidecar in looked.sidecars for entry in sidecar.entries for each in entry.hashes}


def _specs(named: Iterable[tuple[str, Manifest]]) -> Iterator[BatchSpec]:
    """The specs of runs, each once; a fetch by hand has none."""
    seen = set()
    for _, manifest in named:
        key = orjson.dumps(manifest.spec, option=orjson.OPT_SORT_KEYS)
        if manifest.spec and key not in seen:
            seen.add(key)
            yield BatchSpec.check(manifest.spec, manifest.report.manifest)


def _look_at_work(looked: Looked, named: list[tuple[str, Manifest]]) -> None:
    spec, manifests = looked.specs[0], by_key(named)
    provider = providers.get(spec.model.provider)
    uris = sorted({each.work_uri.rstrip("/") for each in looked.specs if ANY not in each.work_uri})
    for uri in uris:
        for folder in look_at_work(uri, spec.name, manifests, looked.names, provider, hash_of_model(spec)):
            looked.work.append(folder)
            looked.places += folder.places()
            looked.hashes |= folder.hashes
    by_hand = made_by_hand(manifest for _, manifest in named)
    prepared = Counter[str]()
    for uri in uris if by_hand else ():
        prepared += preparations(uri)
    looked.ended = ended(looked.work, manifests, by_hand, prepared)
    looked.unknown = [
        folder
        for folder in looked.work
        if folder not in looked.ended and not folder.notes and folder.key not in manifests
    ]


def _look_at_providers(
    looked: Looked, named: list[tuple[str, Manifest]], open_store: OpenStore, before: set[str]
) -> None:
    """Each store that the spec or one of its runs has used, once. `before` are places that an earlier try has seen."""
    done = set()
    known = {job.key for _, manifest in named for job in _jobs(manifest)}
    landed = [
        manifest for folder in looked.folders for manifest in folder.manifests.values() if folder.has_rows_of(manifest)
    ]
    wanted = Wanted(
        names=looked.ids | {name for folder in looked.work for name in folder.names},
        rows=looked.names,
        hashes=looked.hashes,
        keys=_keys(looked),
        known=known,
        whole_rows={
            job.key for _, manifest in named if manifest.spec and not has_chunks(manifest) for job in _jobs(manifest)
        },
        sharers=_sharers(job for _, manifest in named for job in _jobs(manifest)),
        model=hash_of_model(looked.specs[0]),
        had_files=before | {job.provider_job_id for _, manifest in named for job in manifest.report.jobs},
    )
    for spec in looked.specs:
        reached = (spec.model.provider, spec.provider_connection, orjson.dumps(_files_uri(spec)))
        if reached in done or ANY in str(_files_uri(spec)):
            continue
        done.add(reached)
        store, provider = open_store(spec), providers.get(spec.model.provider)
        jobs = [job for each in landed if provider_of(each, provider) is provider for job in _jobs(each)]
        files = list(look_at_provider(store, provider, wanted, jobs))
        looked.at_provider.append((store, files))
        looked.places += [place for each in files for place in each.places()]


def _jobs(manifest: Manifest) -> list[ReportedJob]:
    return [*manifest.report.jobs, *(manifest.report.unlanded or ())]


def _sharers(jobs: Iterable[ReportedJob]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for job in jobs:
        if job.shared_with and job.input_file_id:
            found.setdefault(job.input_file_id, set()).add(job.key)
    return found


def _files_uri(spec: BatchSpec) -> Any:
    return spec.model.job.get("files_uri")


def _keys(looked: Looked) -> set[str]:
    """Keys of jobs whose files all go: of runs with a landed wanted row and several texts a request, because such a
    request names no row.
    """
    keys: set[str] = set()
    for folder in looked.folders:
        for manifest in folder.manifests.values():
            grouped = manifest.spec.get("model", {}).get("texts_per_request", 1) > 1
            if grouped and folder.has_rows_of(manifest):
                keys |= {job.key for job in _jobs(manifest)}
    return keys


def _look_at_records(looked: Looked) -> Iterator[Place]:
    moved, forgotten = moved_by(looked.folders, []), looked.forgotten
    for folder in looked.records:
        for name, count in counted(folder, moved, forgotten).items():
            yield Place("reuse record", f"{folder}/{name}", count.entries, count.gone)
