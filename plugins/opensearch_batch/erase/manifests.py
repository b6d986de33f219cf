"""Manifests after rows were taken out of the files that they name: files, counts and named ids without these rows."""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from opensearch_batch.erase.row_names import RowNames
from opensearch_batch.erase.rows import Cut, Scanned
from opensearch_batch.flow.data_files import DataFile
from opensearch_batch.flow.landed import Example
from opensearch_batch.flow.parity import Parity, without_first
from opensearch_batch.flow.written import Written
from opensearch_batch.land.manifest import Manifest, ManifestFile
from opensearch_batch.land.reconcile import MISSING
from opensearch_batch.land.report import Report
from opensearch_batch.prepare.bad_rows import BAD_ROW
from opensearch_batch.reuse.whose import is_copied


@dataclass(frozen=True)
class Change:
    """A file with wanted rows, and `new`, the file without; None where no row is left. `spare` are lines of the new
    file by the hash of their text, for texts of the wanted rows.
    """

    old: Scanned
    new: DataFile | None
    spare: Mapping[bytes, Cut] = field(default_factory=dict)

    @property
    def twins(self) -> int:
        """How many of the wanted rows were answered as another row with the same text was. Of rows with one text, of
        which one was sent, all but one are twins.
        """
        return sum(count if bytes.fromhex(each) in self.spare else count - 1 for each, count in self.old.hashes.items())


def mentions(manifest: Manifest, names: RowNames) -> int:
    """Count where a manifest names wanted rows: examples may quote a text."""
    report, written = manifest.report, manifest.report.written or Written()
    rows = [*(each for named in report.named.values() for each in named), *(each.id for each in report.examples)]
    documents = [*written.named, *(each.id for each in written.examples), *_compared(report.parity or Parity())]
    return sum(each in names for each in rows) + sum(each in names.ids for each in documents)


def without(manifest: Manifest, changed: Mapping[str, Change], names: RowNames) -> Manifest:
    """`changed` by the files' names; `names` have those of documents too, which tell of what was written."""
    touched = [change for name, change in changed.items() if name in {_name(entry.uri) for entry in manifest.files}]
    files = [new for entry in manifest.files if (new := _entry(entry, changed))]
    return replace(manifest, files=files, report=_report(manifest.report, touched, changed, names))


def _name(uri: str) -> str:
    return uri.rsplit("/", 1)[-1]


def _entry(entry: ManifestFile, changed: Mapping[str, Change]) -> ManifestFile | None:
    if _name(entry.uri) not in changed:
        return entry
    new = changed[_name(entry.uri)].new
    return ManifestFile(kind=entry.kind, **{**new.to_dict(), "uri": _beside(entry.uri, new)}) if new else None


def _beside(uri: str, new: DataFile) -> str:
    """The new file's URI as the manifest names its folder: the folder may have been copied or mounted elsewhere."""
    return f"{uri.rsplit('/', 1)[0]}/{_name(new.uri)}"


def _report(report: Report, touched: Collection[Change], changed: Mapping[str, Change], names: RowNames) -> Report:
    answered = failed = missing = bad = reused = twins = 0
    codes = dict(report.codes)
    for change in touched:
        scanned = change.old
        if scanned.name.startswith("results-"):
            is_reused = is_copied(scanned.name)
            answered += scanned.found
            reused += scanned.found * is_reused
            twins += 0 if is_reused else change.twins
            continue
        missing += scanned.codes[MISSING]
        failed += scanned.found - scanned.codes[MISSING]
        bad += scanned.codes[BAD_ROW]
        codes = {code: count - scanned.codes[code] for code, count in codes.items()}
    fields: dict[str, Any] = {
        "records": report.records - answered - failed - missing,
        "answered": report.answered - answered,
        "failed": report.failed - failed,
        "missing": report.missing - missing,
        "codes": {code: count for code, count in codes.items() if count > 0},
        "named": _named(report.named, names),
        "examples": _examples(report.examples, names),
        "results": _uris(report.results, changed),
        "failures": _uris(report.failures, changed),
    }
    if report.bad_rows:
        fields["bad_rows"] = report.bad_rows - bad
    if report.reused:
        fields["reused"] = report.reused - reused
    if report.twins:  # failures do not tell their texts
        fields["twins"] = max(0, min(report.twins - twins, fields["records"] - 1))
    if written := report.written:
        examples = _examples(written.examples, names.ids)
        named = [each for each in written.named if each not in names.ids]
        fields["written"] = replace(written, named=named, examples=examples)
    if parity := report.parity:
        fields["parity"] = _parity(parity, [each for each in _compared(parity) if each in names.ids])
    return replace(report, **fields)


def _compared(parity: Parity) -> list[str]:
    """The documents that a parity check names; that the gate is shut tells of the first."""
    return [*parity.named, *(each for ids in parity.left_out_ids.values() for each in ids)]


def _parity(parity: Parity, gone: Collection[str]) -> Parity:
    """The figures stay."""
    shut = parity.shut
    for each in gone:
        shut = without_first(shut, each)
    named = [each for each in parity.named if each not in gone]
    return replace(parity, named=named, left_out_ids=_named(parity.left_out_ids, gone), shut=shut)


def _named(named: Mapping[str, list[str]], ids: Container[str]) -> dict[str, list[str]]:
    return {kind: [each for each in names if each not in ids] for kind, names in named.items()}


def _examples(examples: Collection[Example], ids: Container[str]) -> list[Example]:
    return [each for each in examples if each.id not in ids]


def _uris(uris: Collection[str], changed: Mapping[str, Change]) -> list[str]:
    found = []
    for uri in uris:
        if _name(uri) not in changed:
            found.append(uri)
        elif new := changed[_name(uri)].new:
            found.append(_beside(uri, new))
    return found
