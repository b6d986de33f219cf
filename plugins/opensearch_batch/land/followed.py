"""manifest.json: a copy of one run's manifest, the one that readers follow. It moves to a run that is complete and
answered no fewer rows than the run before.
"""

from __future__ import annotations

import msgspec

from opensearch_batch.land.manifest import Manifest, NamedReport, as_json, decoded
from opensearch_batch.storage import size_of, write_object

FOLLOWED = "manifest.json"


class _File(msgspec.Struct, frozen=True):
    uri: str


class _Report(NamedReport, frozen=True):
    answered: int


class Followed(msgspec.Struct, frozen=True):
    """What is needed here of the manifest that readers follow, whatever version wrote the rest."""

    report: _Report
    files: list[_File]
    written_at: str
    dag_id: str | None = None
    run_id: str | None = None
    flow: str = ""


def followed_uri(manifest_uri: str) -> str:
    """Return the URI of the manifest.json beside a run's manifest."""
    return f"{manifest_uri.rsplit('/', 1)[0]}/{FOLLOWED}"


def followed_at(uri: str) -> Followed | None:
    """Read manifest.json; None where no run was complete yet. Raise InputError for another object."""
    return None if size_of(uri) is None else decoded(uri, Followed)


def follow(manifest: Manifest, run_key: str) -> None:
    """Move manifest.json to the run of this manifest. A killed write leaves a hidden file with the run's key."""
    write_object(followed_uri(manifest.report.manifest), as_json(manifest), run_key)


def landed_less(before: Followed | None, manifest: Manifest) -> str | None:
    """Return why manifest.json does not move to a complete run; None where it does. A run always replaces its own
    earlier try.
    """
    answered, own = manifest.report.answered, manifest.report.manifest
    if before is None or before.report.is_at(own) or answered >= before.report.answered:
        return None
    return (
        f"this run answered {answered} rows, and {_kept(before, own)}. Where fewer rows are right, e.g. "
        f"because rows were deleted, set output.may_shrink, or copy {own} over {followed_uri(own)}"
    )


def incomplete(before: Followed | None, manifest: Manifest) -> str:
    """Return what readers follow after a run that is not complete."""
    own = manifest.report.manifest
    if before is None:
        return f"Readers find no {followed_uri(own)}, because no run was complete yet"
    return f"Readers follow another manifest: {_kept(before, own)}"


def _kept(before: Followed, own: str) -> str:
    run = f"run {before.run_id} of {before.dag_id}" if before.run_id else "a run outside Airflow"
    return f"{followed_uri(own)} stays with {run}, which answered {before.report.answered} rows"
