"""`python -m opensearch_batch.clean_results OUTPUT …`: remove the result files of superseded runs.

OUTPUT is the folder of a manifest.json. Superseded is a run of the same flow of the same DAG that wrote its manifest
before the run that manifest.json names; such a run's results, failures and manifest go, once the days of --keep-days
(1) have passed since manifest.json was written. Later runs stay, complete or not, and so do every file that
manifest.json names, and runs of other DAGs and flows into the folder, which are named: nothing there may have their
rows. Give the superseded runs' manifests to opensearch_batch.clean_provider before, if the provider still has their
files.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from opensearch_batch.errors import BatchError, InputError, NoSuchObject
from opensearch_batch.land.followed import FOLLOWED, Followed, followed_at
from opensearch_batch.land.manifest import decoded, still_kept
from opensearch_batch.storage import names_in, remove

GOOD, BAD = 0, 1

RUN_KEY = re.compile(r"manifest-(\w+)\.json")


def earlier(folder: str, names: Sequence[str], followed: Followed) -> Iterator[tuple[str, Followed]]:
    """Yield the keys and manifests of the runs that wrote theirs before the run that readers follow."""
    for name in names:
        found = RUN_KEY.fullmatch(name)
        if not found:
            continue
        try:
            other = decoded(f"{folder}/{name}", Followed)
        except NoSuchObject:  # another has removed it since it was listed
            continue
        is_earlier = datetime.fromisoformat(other.written_at) < datetime.fromisoformat(followed.written_at)
        if is_earlier and not other.report.is_at(followed.report.manifest):
            yield found[1], other


def another_flow(run: Followed, followed: Followed) -> str | None:
    """Return in words of which other flow a run is; None where the run is of the flow that readers follow."""
    if (run.dag_id, run.flow) == (followed.dag_id, followed.flow):
        return None
    dag = f"the DAG {run.dag_id}" if run.dag_id else "a run outside Airflow"
    return f"{dag}, {run.flow}" if run.flow else dag


def files_of(key: str, names: Sequence[str], followed: Followed) -> list[str]:
    """Return the names of a run's files, the manifest last: after a broken-off clean-up it still names the run."""
    kept = {entry.uri.rsplit("/", 1)[-1] for entry in followed.files}
    own = re.compile(rf"\.?(results|failures)-{key}-.*|\.manifest.*\.partial")
    found = [name for name in names if own.fullmatch(name) and key in name and name not in kept]
    return [*found, f"manifest-{key}.json"]


def clean(folder: str, keep_days: float, now: datetime, *, dry_run: bool) -> int:
    """Remove the files of superseded runs and print every name; return the number.

    With `dry_run` only print the names, and return the number of names.
    """
    followed = followed_at(f"{folder}/{FOLLOWED}")
    if followed is None:
        raise InputError(f"{folder}: there is no {FOLLOWED}, so no run is superseded")
    if how_long := still_kept(followed.written_at, keep_days, now):
        print(f"{folder}: nothing is removed: superseded runs are kept {how_long}")
        return 0
    names = names_in(folder)
    gone: list[str] = []
    for key, run in earlier(folder, names, followed):
        if other := another_flow(run, followed):
            uri = f"{folder}/manifest-{key}.json"
            print(f"left {uri} and its files: of {other}. Give each flow an output.uri of its own")
        else:
            gone += files_of(key, names, followed)
    for name in gone:
        if not dry_run:
            remove(f"{folder}/{name}")
        print(f"{'would remove' if dry_run else 'removed'} {folder}/{name}")
    return len(gone)


def main(argv: list[str] | None = None) -> int:
    """Clean up each folder; return 0, or 1 where one could not be read or cleaned."""
    given = _arguments(argv)
    ended = GOOD
    for uri in given.outputs:
        try:
            folder = uri.removesuffix(f"/{FOLLOWED}").rstrip("/")
            count = clean(folder, given.keep_days, datetime.now(UTC), dry_run=given.dry_run)
            print(f"{folder}: {count} files {'would be ' if given.dry_run else ''}removed")
        except BatchError as error:
            print(f"error: {error}", file=sys.stderr)
            ended = BAD
    return ended


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m opensearch_batch.clean_results", description=__doc__)
    parser.add_argument("outputs", nargs="+", metavar="OUTPUT", help="URI of a folder with a manifest.json")
    parser.add_argument("--dry-run", action="store_true", help="only name what would be removed")
    parser.add_argument("--keep-days", type=float, default=1.0, help="since manifest.json was written; default: 1")
    given = parser.parse_args(argv)
    if not given.keep_days >= 0:
        parser.error("--keep-days is a number of days, and not negative")
    return given


if __name__ == "__main__":
    sys.exit(main())
