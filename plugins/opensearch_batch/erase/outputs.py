"""Output folders: results, failures and manifests of all runs there, and what killed tasks have left.

A file with wanted rows is written anew under another name, then the manifests name the new file, then the old one goes:
a reader finds the files of its manifest at each moment, and a try after a kill finds the old file and does the same
again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import orjson

from opensearch_batch.erase.manifests import Change, mentions, without
from opensearch_batch.erase.proof import BEGUN, Place
from opensearch_batch.erase.row_names import RowNames
from opensearch_batch.erase.rows import Scanned, lines_of_texts, scan, without_rows
from opensearch_batch.land.followed import FOLLOWED
from opensearch_batch.land.manifest import Manifest, as_json, read_manifest
from opensearch_batch.reuse.moved import Moved
from opensearch_batch.storage import matches, names_in, open_binary, remove, write_object

ROWS = re.compile(r"(results|failures)-.*\.(jsonl|parquet)")
MANIFEST = re.compile(r"manifest(-\w+)?\.json")
HIDDEN = re.compile(r"\.(results|failures|manifest).*\.partial")
"""What a killed task has left of a file, or a task is writing; no reader sees it."""


@dataclass(frozen=True)
class OutputFolder:
    """`begun` are names of files that were never completed, and may have a wanted row."""

    uri: str
    manifests: dict[str, Manifest]
    files: Sequence[Scanned]
    begun: Sequence[str]

    @cached_property
    def named(self) -> set[str]:
        """Names of the files that a manifest names."""
        return {entry.uri.rsplit("/", 1)[-1] for manifest in self.manifests.values() for entry in manifest.files}

    @property
    def with_rows(self) -> list[Scanned]:
        return [each for each in self.files if each.found]

    def has_rows_of(self, manifest: Manifest) -> bool:
        """Whether a wanted row landed in this run."""
        own = {entry.uri.rsplit("/", 1)[-1] for entry in manifest.files}
        return any(each.name in own for each in self.with_rows)

    def places(self, names: RowNames) -> Iterator[Place]:
        for each in self.files:
            if each.name in self.named:
                kind = "results" if each.name.startswith("results-") else "failures"
                yield Place(kind, each.uri, each.rows, each.found)  # type: ignore[arg-type]
            else:
                yield Place("unnamed file", each.uri, each.rows, each.found, note="no manifest names it: removed whole")
        for name in self.begun:
            yield Place("unnamed file", f"{self.uri}/{name}", 0, 1, note=BEGUN)
        for name, manifest in self.manifests.items():
            found = mentions(manifest, names.in_manifest(manifest))
            yield Place("manifest", f"{self.uri}/{name}", len(manifest.files), found)

    def write_others(self) -> dict[str, Change]:
        """Write the files without the wanted rows, beside the old ones; by the old names."""
        return {each.name: _changed(each) for each in self.with_rows if each.name in self.named}

    def finish(self, changed: dict[str, Change], names: RowNames) -> None:
        """Name the new files in the manifests, and remove the old ones. What readers follow comes last."""
        for name, manifest in sorted(self.manifests.items(), key=lambda each: each[0] == FOLLOWED):
            new = without(manifest, changed, names.in_manifest(manifest))
            if new != manifest:
                write_object(f"{self.uri}/{name}", as_json(new))
        for name in [*self.begun, *(each.name for each in self.with_rows)]:
            remove(f"{self.uri}/{name}")


def moved_by(folders: Sequence[OutputFolder], changes: Sequence[dict[str, Change]]) -> dict[str, Moved]:
    """Return where the lines of changed files are, by the files' old URIs; lines of an unnamed file are nowhere."""
    moved = {each.uri: Moved(None, each.cut) for folder in folders for each in folder.with_rows}
    for changed in changes:
        for each in changed.values():
            moved[each.old.uri] = Moved(each.new.uri if each.new else None, each.old.cut, each.spare)
    return moved


def _changed(scanned: Scanned) -> Change:
    new = without_rows(scanned)
    return Change(scanned, new, lines_of_texts(new.uri, scanned.hashes) if new else {})


def folders_of(pattern: str) -> list[str]:
    """Return the folders of a pattern in which there is something; a pattern without glob signs is returned itself."""
    pattern = pattern.rstrip("/")
    if not any(sign in pattern for sign in "*?["):
        return [pattern]
    return sorted({uri.rsplit("/", 1)[0] for uri in matches(f"{pattern}/*")})


def look_at_output(folder: str, manifests: dict[str, Manifest], names: RowNames) -> OutputFolder:
    """Raise InputError for rows of another version."""
    there = [name for name in names_in(folder) if name]
    by_file = {entry.uri.rsplit("/", 1)[-1]: manifest for manifest in manifests.values() for entry in manifest.files}
    files = [scan(f"{folder}/{name}", names.of(by_file.get(name))) for name in sorted(there) if ROWS.fullmatch(name)]
    begun = [name for name in there if HIDDEN.fullmatch(name) and _may_have(f"{folder}/{name}", names)]
    return OutputFolder(folder, manifests, files, begun)


def manifests_in(folder: str) -> dict[str, Manifest]:
    """Return the manifests by name. Raise InputError for a manifest of another version."""
    return {name: read_manifest(f"{folder}/{name}") for name in names_in(folder) if MANIFEST.fullmatch(name)}


def _may_have(uri: str, names: RowNames) -> bool:
    """Whether a begun file may have a wanted row: lines can be read before their file is complete."""
    if ".jsonl." not in uri:
        return True
    wanted = [b'"id":%b' % orjson.dumps(each) for each in names.ids]
    if names.chunks:
        wanted += [b'"id":%b#' % orjson.dumps(each)[:-1] for each in names.ids]
    with open_binary(uri) as lines:
        return any(each in line for line in lines for each in wanted)
