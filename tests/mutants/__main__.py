"""`make mutants`: change one place at a time, and print the changes that no fast test notices.

SAMPLE mutants (0: all) of SEED, for at most MINUTES; the last line has the share. With `--again` those alone that came
through unexplained when they were tried last. Exit status 1 where a survivor is not explained in explained.toml.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.mutants.explained import FILE, explained, reason_of
from tests.mutants.played import Player
from tests.mutants.rooms import files
from tests.mutants.survivors import Identity, identity, note, noted

MAKER = ".venv-mutants/bin/python"
EVERY = 25
"""Mutants between two lines of progress."""


def main() -> int:
    given = _arguments()
    try:
        before = noted() if given.again else None
    except FileNotFoundError as error:
        sys.exit(str(error))
    log = Path(tempfile.mkdtemp(prefix="mutants-")) / "last.txt"
    player = Player(files(), log)
    reasons = explained(FILE.read_text())
    tried, of, survivors, unexplained = list[Identity](), 0, 0, list[Identity]()
    for mutant in _chosen(given, before):
        tried.append(identity(mutant))
        of = mutant["of"]
        if player.lives(mutant, few=given.few):
            survivors += 1
            if reason_of(mutant, reasons) is None:
                unexplained.append(tried[-1])
                tell(mutant)
        if len(tried) % EVERY == 0:
            print(f"{len(tried)} of {of}: {survivors} survive", file=sys.stderr, flush=True)
    print(
        f"{len(tried)} of {of} mutants tried (seed {given.seed}): {survivors} survive "
        f"({survivors / max(1, len(tried)):.1%}), {len(unexplained)} of them unexplained"
    )
    note(tried, unexplained)
    return 1 if unexplained else 0


def tell(mutant: dict[str, Any]) -> None:
    print(f"{mutant['file']}:{mutant['line']}: {mutant['operator'].removeprefix('core/')}")
    for sign, lines in (("-", mutant["before"]), ("+", mutant["after"])):
        for line in lines.splitlines():
            print(f"  {sign} {line}")
    sys.stdout.flush()


def _chosen(given: argparse.Namespace, before: list[Identity] | None) -> Iterator[dict[str, Any]]:
    """Yield a sample, or the survivors of before: with these, `of` is how many of them there are."""
    until, paths = time.monotonic() + given.minutes * 60, files(given.only)
    if before is None:
        yield from _made(given.sample, given.seed, paths, until)
        return
    survivors = [mutant for mutant in _made(0, given.seed, paths, until) if identity(mutant) in before]
    for mutant in survivors:
        if time.monotonic() > until:
            return
        yield mutant | {"of": len(survivors)}


def _made(sample: int, seed: int, paths: list[str], until: float) -> Iterator[dict[str, Any]]:
    """Yield the mutants as they are made, for as long as there is time."""
    command = [MAKER, "tests/mutants/made.py", str(sample), str(seed), *paths]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as made:
        for line in made.stdout or ():
            if time.monotonic() > until:
                made.terminate()
                return
            yield json.loads(line)
    if made.returncode:
        raise subprocess.CalledProcessError(made.returncode, command)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--sample", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--only", default="", help="part of the path of the files to change")
    parser.add_argument("--few", action="store_true", help="the quickest tests of each line alone, for 15 seconds")
    parser.add_argument("--again", action="store_true", help="those that came through unexplained when tried last")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
