"""docs/versions.md: the table of what differs between versions of ML Commons."""

from __future__ import annotations

from docs_build.tables import MADE
from opensearch_batch.cluster.versions import VERSION_NOTES, VersionNote

_HEAD = f"""# Versions of ML Commons

{MADE}

Where versions differ, or are not as one would think. The package never asks for the version: the answer decides.
Jobs are followed at the provider wherever the cluster refuses.

| what | versions | what they do, and what we do | shown by | source |
|---|---|---|---|---|"""


def versions_text() -> str:
    rows = [
        f"| {n.name} | {n.versions} | {_cell(n)} | {_shown(n.known)} | [source]({n.source}) |" for n in VERSION_NOTES
    ]
    return "\n".join([_HEAD, *rows, ""])


def _cell(note: VersionNote) -> str:
    said = [f"{one.status} `{one.cause or one.reason}`: {one.means.__name__}" for one in note.said]
    return "<br>".join([note.what, *said])


def _shown(known: str) -> str:
    path, _, name = known.partition("::")
    return f"[{name}](../{path})" if name else known
