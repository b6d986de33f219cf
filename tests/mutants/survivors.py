"""Survivors: the mutants that came through unexplained, noted from one run for the next."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.mutants.explained import key_of

NOTED = Path(".venv-mutants/survivors.jsonl")

Identity = list[str]


def identity(mutant: dict[str, Any]) -> Identity:
    """What a mutant is, wherever its line is now."""
    return [mutant["operator"], *key_of(mutant)]


def noted(path: Path = NOTED) -> list[Identity]:
    """Return those of the runs before; raise FileNotFoundError where there was none."""
    if not path.exists():
        raise FileNotFoundError(f"no survivors are noted in {path}: `make mutants` without AGAIN=1 notes them")
    return [json.loads(line) for line in path.read_text().splitlines()]


def note(tried: Iterable[Identity], unexplained: Iterable[Identity], path: Path = NOTED) -> None:
    """Note the unexplained of a run, and keep those of before that it did not try."""
    known = list(tried)
    kept = [each for each in noted(path) if each not in known] if path.exists() else []
    path.write_text("".join(json.dumps(each) + "\n" for each in [*kept, *unexplained]))
