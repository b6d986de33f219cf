"""Which indices a spec's runs read. A pattern for {partition} fits indices of others too, in which nobody looks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from opensearch_batch.cluster.described import About, described
from opensearch_batch.erase.naming import Naming
from opensearch_batch.erase.order import ANY, Order
from opensearch_batch.errors import InputError
from opensearch_batch.land.manifest import Manifest
from opensearch_batch.sources.index_rows import SCHEME, address_of

PARTITION, RUN_ID = "{partition}", "{run_id}"
TWO = r"\d\d"
DIRECTIVES = {
    "Y": r"\d{4}",
    "G": r"\d{4}",
    "y": TWO,
    "m": "(?:0[1-9]|1[0-2])",
    "d": r"(?:0[1-9]|[12]\d|3[01])",
    "H": r"(?:[01]\d|2[0-3])",
    "M": r"[0-5]\d",
    "S": r"[0-5]\d",
    "j": r"(?:[0-2]\d\d|3[0-6]\d)",
    "V": r"(?:0[1-9]|[1-4]\d|5[0-3])",
    "U": r"(?:[0-4]\d|5[0-3])",
    "W": r"(?:[0-4]\d|5[0-3])",
    "u": "[1-7]",
    "w": "[0-6]",
    "%": "%",
}
"""Of strftime, as they may stand in the name of an index."""


@dataclass(frozen=True)
class ReadIndices:
    """`at_once` are the indices that a run reads now, by the name that it reads; `own` are these, and what earlier runs
    have read. `strangers` fit the pattern of the input, and no run has read them.
    """

    connection: str
    at_once: Mapping[str, frozenset[str]]
    own: Sequence[str]
    strangers: Sequence[str]
    naming: Naming


def read_indices(order: Order, manifests: Sequence[Manifest]) -> ReadIndices:
    """Raise InputError where no index of the spec's input is there, or one is closed."""
    from opensearch_batch.cluster.hook import MLCommonsHook

    spec = order.spec.resolve(partition=PARTITION, run_id=RUN_ID)
    connection, template = address_of(spec.input.uri)
    pattern = address_of(order.every_run.input.uri)[1]
    send = MLCommonsHook(connection).send
    there = described(send, pattern, "open,closed,hidden")
    ran = [(name, manifest) for manifest in manifests if (name := _name_read(manifest, connection))]
    earlier = [frozenset(manifest.report.indices or ()) for _, manifest in ran]
    if template == pattern:
        at_once = {pattern: frozenset(name for name in there if _is_read(name, there[name], pattern))}
    else:
        names = {name for name, _ in ran} | {*_partitions(template, spec.input.partition_format, there)}
        at_once = {name: frozenset(_behind(name, there)) for name in sorted(names)}
    read = frozenset[str]().union(*at_once.values(), *earlier)
    if not (own := sorted(read & there.keys())) and not order.indices:
        raise InputError(f"{order.every_run.input.uri}: no such index, and no alias of that name. Nothing was removed")
    if ANY in pattern and (closed := sorted(described(send, pattern, "closed,hidden").keys() & {*own})):
        raise InputError(
            f"closed, and nobody can look in there: {', '.join(closed)}. POST /{','.join(closed)}/_open opens them. "
            "Nothing was removed"
        )
    by_hand = any(not manifest.spec for manifest in manifests)
    naming = Naming([each for each in (*at_once.values(), *earlier) if each], all(earlier) and not by_hand)
    return ReadIndices(connection, at_once, own, sorted({*there} - read), naming)


def _name_read(manifest: Manifest, connection: str) -> str | None:
    """The name that a run has read, of an index or an alias; None of one that has read no index there."""
    uri = str(manifest.spec.get("input", {}).get("uri", ""))
    if not uri.startswith(SCHEME):
        return None
    at, name = address_of(uri)
    return name if at == connection else None


def _partitions(template: str, partition_format: str, there: Mapping[str, About]) -> Iterator[str]:
    """Yield the names that runs of the partitions that are there would read."""
    day = _as_pattern(partition_format)
    if day is None or RUN_ID in template:
        return
    for part in template.split(","):
        first, *others = part.split(PARTITION)
        if not others:
            continue
        again = "(?P=day)".join(map(_globbed, others))
        form = re.compile(f"{_globbed(first)}(?P<day>{day}){again}")
        for index, about in there.items():
            for name in _names_of(index, about):
                if found := form.fullmatch(name):
                    yield template.replace(PARTITION, found["day"])


def _as_pattern(partition_format: str) -> str | None:
    """A format of strftime as a regular expression; None for one with other directives than DIRECTIVES."""
    parts = re.split("%(.)", partition_format)
    if any(each not in DIRECTIVES for each in parts[1::2]):
        return None
    return "".join(DIRECTIVES[each] if at % 2 else re.escape(each) for at, each in enumerate(parts))


def _behind(name: str, there: Mapping[str, About]) -> Iterator[str]:
    parts = [re.compile(_globbed(part)) for part in name.split(",")]
    for index, about in there.items():
        if _is_read(index, about, name) and any(
            part.fullmatch(each) for part in parts for each in _names_of(index, about)
        ):
            yield index


def _names_of(index: str, about: About) -> list[str]:
    stream = about.get("data_stream")
    return [index, *about["aliases"], *([stream] if stream else [])]


def _is_read(index: str, about: About, name: str) -> bool:
    """A run that reads a pattern reads no hidden index."""
    return ANY not in name or about["settings"]["index"].get("hidden") != "true" or "data_stream" in about


def _globbed(text: str) -> str:
    return ".*".join(map(re.escape, text.split(ANY)))
