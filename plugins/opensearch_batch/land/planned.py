"""Planned: what this preparation planned, among all that has landed.

Airflow keeps what a task gave in an earlier try, where the task did not run again: a mapped task that is there no more,
or a task whose upstream failed. So what comes from tasks may be an earlier preparation's, under any index. The hash of
a shard's content tells.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from opensearch_batch.flow.jobs import Job
from opensearch_batch.flow.landed import Landed
from opensearch_batch.flow.shards import Shard
from opensearch_batch.land.repair import Taken, handed_on_by

Content = tuple[int, str, int]


@dataclass(frozen=True)
class Planned:
    """`landed` has each planned shard at most once, repair rounds included, `taken` the groups of these rounds."""

    landed: list[Landed]
    taken: list[Taken]
    contents: frozenset[Content]

    def has(self, job: Job) -> bool:
        """Tell whether the job is of a planned shard; a job of raw parameters has none, and is."""
        return job.shard is None or content_of(job.shard) in self.contents


def planned(
    landed: Sequence[Landed],
    shards: Sequence[Shard],
    rounds: Iterable[Sequence[Taken]] = (),
    online: Sequence[Taken] = (),
) -> Planned:
    """Return what is of `shards`, the shards that the preparation made. `rounds` are what each repair round took, in
    their order: a group counts where all of its rows come from shards of the round before that count. `online` are the
    groups asked one by one, of rows of any round.
    """
    counted, taken, contents = landed_of(shards, landed), list[Taken](), set(map(content_of, shards))
    before = counted
    for groups in rounds:
        handed_on = {part.file.uri for part in handed_on_by(before)}
        mine = [group for group in groups if handed_on.issuperset(group.sources)]
        made = [shard for group in mine for shard in group.shards]
        before = landed_of(made, landed)
        taken += mine
        counted += before
        contents |= set(map(content_of, made))
    handed_on = {part.file.uri for part in handed_on_by(counted)}
    mine = [group for group in online if handed_on.issuperset(group.sources)]
    made = [shard for group in mine for shard in group.shards]
    taken += mine
    counted = [*counted, *landed_of(made, landed)]
    contents |= set(map(content_of, made))
    unsharded = [part for part in landed if part.job.shard is None]
    return Planned([*unsharded, *counted], taken, frozenset(contents))


def of_bundles(fetched: Iterable[Sequence[Landed]], bundles: Iterable[Sequence[Shard]]) -> list[Sequence[Landed]]:
    """Return the fetches that landed one of `bundles`. A part of a bundle would make other shards for a repair round
    than the whole bundle will, and its rows would be paid for twice.
    """
    wanted = [set(bundle) for bundle in bundles]
    return [parts for parts in fetched if {part.job.shard for part in parts} in wanted]


def content_of(shard: Shard) -> Content:
    """What makes two shards the same, wherever they lie. A round may have the content of the round before."""
    return shard.round, shard.sha256, shard.twins or 0


def landed_of(shards: Sequence[Shard], landed: Sequence[Landed]) -> list[Landed]:
    """Each of `shards` that landed, once; under another index only where the shard did not land under its own."""
    wanted = {content_of(shard): shard for shard in shards}
    found: dict[Content, Landed] = {}
    for part in landed:
        if part.job.shard is None or (shard := wanted.get(content_of(part.job.shard))) is None:
            continue
        if part.job.shard == shard or content_of(shard) not in found:
            found[content_of(shard)] = replace(part, job=replace(part.job, shard=shard))
    return list(found.values())
