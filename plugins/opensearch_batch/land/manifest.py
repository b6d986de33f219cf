"""Manifest: the file at the output URI with the names of a run's files, written last; readers and reruns trust no file
without an entry. Each run has one, `manifest-<run>.json`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, TypeVar

import msgspec
import orjson
from msgspec import UNSET, UnsetType

from opensearch_batch.errors import InputError
from opensearch_batch.flow.data_files import DataFile
from opensearch_batch.flow.landed import Landed
from opensearch_batch.flow.values import Value
from opensearch_batch.land.reconcile import Left
from opensearch_batch.land.report import Report
from opensearch_batch.storage import names_in, open_binary, remove, size_of, write_object

Kind = Literal["results", "failures"]
MOST_DAYS = 36_500
"""A century is as good as for ever, and no date lies beyond the year 9999."""

T = TypeVar("T")


class ManifestFile(Value, frozen=True):
    """A DataFile with a kind."""

    kind: Kind
    uri: str
    rows: int
    bytes: int
    sha256: str


class Manifest(Value, frozen=True, kw_only=True):
    """`written_at` and `run_after` are ISO 8601 times; `spec` is the run's BatchSpec as a dict, empty for a fetch by
    hand. A run outside Airflow has no `dag_id`, `run_id` and `run_after`. `flow` tells flows of one DAG apart, and is
    unset for one at the top of the DAG.
    """

    version: Literal[1]
    dag_id: str | UnsetType = UNSET
    run_id: str | UnsetType = UNSET
    run_after: str | UnsetType = UNSET
    flow: str | UnsetType = UNSET
    written_at: str
    spec: dict[str, Any]
    report: Report
    files: list[ManifestFile]


def manifest_uri(output_uri: str, run_key: str) -> str:
    return f"{output_uri}/manifest-{run_key}.json"


def still_kept(written_at: str, days: float, now: datetime) -> str | None:
    """Return how long files are kept that are kept so many days after a manifest's `written_at`, in words; for ever
    from MOST_DAYS on. None where the days have passed.
    """
    if days >= MOST_DAYS:
        return "for ever"
    until = datetime.fromisoformat(written_at) + timedelta(days=days)
    return f"until {until:%Y-%m-%d %H:%M} UTC" if now < until else None


def files_of(landed: Sequence[Landed], left: Sequence[Left] = (), reused: DataFile | None = None) -> list[ManifestFile]:
    """`reused` are results with vectors of earlier runs."""
    more = [ManifestFile(kind="results", **reused.to_dict())] if reused else []
    return [*_files(landed, left), *more]


def _files(landed: Sequence[Landed], left: Sequence[Left]) -> Iterator[ManifestFile]:
    for part in landed:
        if part.results:
            yield ManifestFile(kind="results", **part.results.to_dict())
        if part.failures:
            yield ManifestFile(kind="failures", **part.failures.to_dict())
    for rest in left:
        yield ManifestFile(kind="failures", **rest.failures.to_dict())


def write_manifest(manifest: Manifest) -> None:
    write_object(manifest.report.manifest, as_json(manifest))


def as_json(manifest: Manifest) -> bytes:
    return orjson.dumps(manifest.to_dict(), option=orjson.OPT_INDENT_2)


def remove_strays(manifest: Manifest, run_key: str, kept: Iterable[str] = ()) -> None:
    """Remove the run's files that neither `manifest` nor `kept` (URIs) names: left by killed or cleared tries.

    No result is removed while a shard has not landed: an earlier try may have landed the shard, and the provider may no
    longer have the answers.
    """
    folder = manifest.report.manifest.rsplit("/", 1)[0]
    named = {uri.rsplit("/", 1)[-1] for uri in (*kept, *(entry.uri for entry in manifest.files))}
    for name in names_in(folder):
        begun = name.startswith(".manifest") and run_key in name
        if begun or (manifest.report.all_landed and f"-{run_key}-" in name and name not in named):
            remove(f"{folder}/{name}")


def read_manifest(uri: str) -> Manifest:
    """Raise InputError for an object other than a manifest of the present version."""
    return decoded(uri, Manifest)


def landed_before(uri: str, own_uri: str) -> bool:
    """Tell whether an earlier try landed every shard, repair rounds included, by the manifest at `uri`: the run's own,
    at `own_uri`, or the one that readers follow.
    """
    if size_of(uri) is None:
        return False
    return decoded(uri, _Named).report.is_at(own_uri) and read_manifest(uri).report.all_landed


class NamedReport(msgspec.Struct, frozen=True):
    """Where a manifest was written, in the version of any."""

    manifest: str

    def is_at(self, uri: str) -> bool:
        """By the name alone, which no other run has: a folder may have been copied or mounted elsewhere."""
        return self.manifest.rsplit("/", 1)[-1] == uri.rsplit("/", 1)[-1]


class _Named(msgspec.Struct, frozen=True):
    report: NamedReport


def decoded(uri: str, kind: type[T]) -> T:
    """Return a manifest as `kind`. Raise NoSuchObject where there is none, and InputError for another object."""
    with open_binary(uri) as source:
        try:
            return msgspec.json.decode(source.read(), type=kind)
        except msgspec.DecodeError as error:
            raise InputError(f"{uri}: not a manifest of this version: {error}") from error
