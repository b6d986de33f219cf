"""Readable: which objects that a spec names can be read where the check runs."""

from __future__ import annotations

import os
import re

from opensearch_batch.check.lines import CannotKnow
from opensearch_batch.placeholders import fill
from opensearch_batch.storage.address import LOCAL

OF_A_RUN: dict[str, str | None] = {"partition": "{partition}", "run_id": "{run_id}"}
"""Placeholders without a value, as there is no run."""
ON_THIS_MACHINE = tuple(f"{protocol}:///" for protocol in LOCAL)


def readable(where: str, uri: str, *, reads_any: bool) -> str:
    """Return the URI with the variables of the environment filled in. Raise CannotKnow for the object of a run, and
    unless `reads_any` for a variable that is not set here, and for an object that is not on this machine.
    """
    unset = [name for name in re.findall(r"\$\{(\w+)\}", uri) if name not in os.environ]
    if unset and not reads_any:
        raise CannotKnow(f"{uri} is not asked for: {unset[0]} is not set here")
    filled = fill(where, uri, OF_A_RUN)
    if "{" in filled:
        raise CannotKnow(f"{uri} is another object in each run, and is not asked for here")
    if not reads_any and not filled.startswith(ON_THIS_MACHINE):
        raise CannotKnow(
            f"{uri} is not asked for: Airflow's connections read it, and so does the check without --spec-only"
        )
    return filled
