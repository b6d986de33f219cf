"""`make mutants`: change one place at a time, and print the changes that no fast test notices.

SAMPLE mutants (0: all) of SEED, for at most MINUTES; the last line has the share. Exit status 1 where a survivor is
not explained in explained.toml, or the tests fail without any change.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.mutants.explained import FILE, explained, reason_of
from tests.mutants.rooms import ROOMS, far, files_of, near, room_of
from tests.mutants.trial import load_once, passes

MAKER = ".venv-mutants/bin/python"
NEAR_SECONDS, FAR_SECONDS = 180.0, 600.0
EVERY = 10
"""Mutants between two lines of progress."""


def main() -> int:
    given = _arguments()
    until = time.monotonic() + given.minutes * 60
    files = [path for room in ROOMS for path in files_of(room) if given.only in path]
    made = [json.loads(line) for line in _made(given.sample, given.seed, files)]
    load_once()
    log = Path(tempfile.mkdtemp(prefix="mutants-")) / "last.txt"
    for room in ROOMS:
        if any(path in files for path in files_of(room)) and not passes(None, near(room), log, FAR_SECONDS):
            print(f"the tests fail without any change: {log.read_text()[-2000:]}", file=sys.stderr)
            return 1
    reasons = explained(FILE.read_text())
    tried, survivors, unexplained = 0, 0, 0
    for mutant in made:
        if time.monotonic() > until:
            break
        tried += 1
        if tried % EVERY == 0:
            print(f"{tried} of {len(made)}", file=sys.stderr, flush=True)
        if lives(mutant, log, with_far=not given.near):
            survivors += 1
            why = reason_of(mutant, reasons)
            unexplained += why is None
            if why is None:
                tell(mutant)
    of = made[0]["of"] if made else 0
    print(
        f"{tried} of {of} mutants tried (seed {given.seed}): {survivors} survive ({survivors / max(1, tried):.1%}), "
        f"{unexplained} of them unexplained"
    )
    return 1 if unexplained else 0


def lives(mutant: dict[str, Any], log: Path, *, with_far: bool) -> bool:
    room = room_of(mutant["file"])
    if not passes(mutant, near(room, mutant["file"]), log, NEAR_SECONDS):
        return False
    return not with_far or passes(mutant, far(room), log, FAR_SECONDS)


def tell(mutant: dict[str, Any]) -> None:
    print(f"{mutant['file']}:{mutant['line']}: {mutant['operator'].removeprefix('core/')}")
    for sign, lines in (("-", mutant["before"]), ("+", mutant["after"])):
        for line in lines.splitlines():
            print(f"  {sign} {line}")
    sys.stdout.flush()


def _made(sample: int, seed: int, files: list[str]) -> list[str]:
    done = subprocess.run(
        [MAKER, "tests/mutants/made.py", str(sample), str(seed), *files], capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--sample", type=int, default=150)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--only", default="", help="part of the path of the files to change")
    parser.add_argument("--near", action="store_true", help="the near tests alone")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
