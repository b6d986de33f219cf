"""The shards of a run and how far each is, made from what the run's tasks have pushed. Values in, values out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from opensearch_batch.pages.batches import Instance
from opensearch_batch.pages.stored import Pushed
from opensearch_batch.pages.told import ToldJob, ToldLook, ToldShard, told
from opensearch_batch.pages.told_run import ToldEnd, ToldExample, ToldFetched, ToldLanded, ToldReportedJob

KINDS = {
    "answered": "answered",
    "done": "done at the provider",
    "again": "sent again",
    "failed": "failed",
    "missing": "missing",
}
"""What rows can be, in the order of a bar, in words; rows of a shard that are none of these are open. Of a job whose
answers have not landed only the provider's own counts are known: done, and failed.
"""


@dataclass(frozen=True)
class ShardSeen:
    """`instance` is the last task that has told of the shard, None where the report alone has. `link` is the job's
    address at the vendor; `error` has the vendor's words on the whole job. `passing` counts by why rows were handed on
    to a repair round.
    """

    shard: ToldShard | None
    instance: Instance | None
    rows: int
    state: str = "not submitted yet"
    counts: Mapping[str, int] = field(default_factory=dict)
    job_id: str = ""
    task_id: str = ""
    link: str = ""
    shared_with: str = ""
    error: str = ""
    codes: Mapping[str, int] = field(default_factory=dict)
    passing: Mapping[str, int] = field(default_factory=dict)
    examples: Sequence[ToldExample] = ()

    @property
    def name(self) -> str:
        return self.shard.name if self.shard else self.job_id

    @property
    def landed(self) -> bool:
        return bool({"answered", "again", "missing"} & {*self.counts})


def shards_seen(pushed: Iterable[Pushed]) -> list[ShardSeen]:
    """Return the shards by round and index; a job of raw parameters is a shard without a name. What an earlier
    preparation's tasks have pushed is left out: its shards have other contents.
    """
    values = list(pushed)
    found = {shard.uri: _planned(shard, each) for each in values for shard in _prepared(each)}
    planned = {uri: seen.shard.sha256 for uri, seen in found.items() if seen.shard}
    for job, seen in _told(values):
        shard = job.shard
        if shard is None or planned.get(shard.uri, shard.sha256) == shard.sha256:
            key = shard.uri if shard else job.provider_job_id
            found[key] = _later(found.get(key), seen)
    return sorted(found.values(), key=_place)


def shards_of(jobs: Iterable[ToldReportedJob]) -> list[ShardSeen]:
    """Return the shards of a report: all there is where an XCom backend keeps elsewhere what the tasks pushed."""
    found = []
    for job in jobs:
        shard = None if job.shard is None else ToldShard(job.shard, job.records, 0, job.round)
        of_job = (job.provider_job_id, job.task_id or "", "", job.shared_with or "")
        found.append(ShardSeen(shard, None, job.records, job.state, {}, *of_job))
    return sorted(found, key=_place)


def _place(seen: ShardSeen) -> tuple[int, int, str]:
    return (seen.shard.round, seen.shard.index, seen.job_id) if seen.shard else (0, -1, seen.job_id)


def _prepared(each: Pushed) -> Iterator[ToldShard]:
    for bundle in told(each.value, list[list[ToldShard]]) or () if each.name == "bundles" else ():
        yield from bundle


def _planned(shard: ToldShard, each: Pushed) -> ShardSeen:
    return ShardSeen(shard, _instance(each), shard.records + shard.twins)


def _told(values: Sequence[Pushed]) -> Iterator[tuple[ToldJob, ShardSeen]]:
    """Yield jobs as tasks have seen them, in the order of the tasks."""
    links = {_instance(each): each.value for each in values if each.name == "link" and isinstance(each.value, str)}
    for each in _named(values, "jobs"):
        jobs = told(each.value, list[ToldJob]) or []
        for job in jobs:
            yield job, _submitted(job, each, link_of(job, jobs[0], links.get(_instance(each), "")))
    looked = {id: (each, rows) for each in _named(values, "waiting") for id, rows in _rows_done(each)}
    for each in _named(values, "jobs"):
        for job in told(each.value, list[ToldJob]) or ():
            if job.provider_job_id in looked:
                yield job, _looked_at(job, *looked[job.provider_job_id])
    for each in _named(values, "outcomes"):
        yield from ((end.job, _ended(end, each)) for end in told(each.value, list[ToldEnd]) or ())
    for each in _named(values, "landed"):
        fetched = told(each.value, ToldFetched)
        yield from ((part.job, _landed(part, each)) for part in (fetched.landed if fetched else ()))


def _named(values: Sequence[Pushed], name: str) -> Iterator[Pushed]:
    return (each for each in values if each.name == name)


def _rows_done(each: Pushed) -> list[tuple[str, int]]:
    look = told(each.value, ToldLook)
    return [*look.rows_done.items()] if look else []


def _submitted(job: ToldJob, each: Pushed, link: str = "") -> ShardSeen:
    rows = job.shard.records + job.shard.twins if job.shard else 0
    return ShardSeen(
        shard=job.shard,
        instance=_instance(each),
        rows=rows,
        state="in flight",
        job_id=job.provider_job_id,
        task_id=job.task_id or "",
        link=link,
        shared_with=job.shared_with or "",
    )


def _looked_at(job: ToldJob, each: Pushed, rows_done: int) -> ShardSeen:
    return replace(_submitted(job, each), counts={"done": rows_done})


def _ended(end: ToldEnd, each: Pushed) -> ShardSeen:
    """A request may have several rows: its share of the requests is the share of the rows."""
    seen, requests = _submitted(end.job, each), end.requests_total
    rows = seen.rows or requests
    failed = rows * min(requests, end.requests_failed) // requests if requests else 0
    done = rows * min(requests, end.requests_done) // requests if requests else 0
    words = [words for words in (end.error_code, end.error_message) if words]
    counts = {"done": min(done, rows - failed), "failed": failed}
    return replace(seen, rows=rows, state=end.state, counts=counts, error=": ".join(words))


def _landed(part: ToldLanded, each: Pushed) -> ShardSeen:
    counts = {
        "answered": part.answered,
        "again": sum(part.passing.values()),
        "failed": part.failed,
        "missing": part.missing,
    }
    return replace(
        _submitted(part.job, each),
        rows=part.records,
        state=part.state,
        counts=counts,
        codes=part.codes,
        passing=part.passing,
        examples=part.examples,
    )


def _later(before: ShardSeen | None, seen: ShardSeen) -> ShardSeen:
    """What a later task tells, with what only an earlier one has told of the same job."""
    if before is None or before.job_id != seen.job_id:
        return seen
    return replace(seen, link=seen.link or before.link, error=seen.error or before.error)


def link_of(job: ToldJob, first: ToldJob, link: str) -> str:
    """Return the job's address, made from the address of the first job of the same task. Airflow keeps that: the worker
    made it, which knows the connection. The id stands in the address, or the last part of the id does; where neither
    does, the address is of all jobs. Empty for what is no address of the web.
    """
    if not link.startswith(("https://", "http://")):
        return ""
    for part in (slice(None), slice(-1, None)):
        old, new = ("/".join(each.provider_job_id.split("/")[part]) for each in (first, job))
        before, found, after = link.rpartition(old or "no id")
        if found:
            return before + new + after
    return link


def _instance(each: Pushed) -> Instance:
    return each.dag_id, each.run_id, each.task_id, each.map_index


def counted(shards: Iterable[ShardSeen]) -> dict[str, int]:
    """Add up rows by what they are. Rows that were sent again count in the repair round they were sent in."""
    total = dict.fromkeys(KINDS, 0)
    for seen in shards:
        for kind, rows in seen.counts.items():
            total[kind] += rows
    total["again"] = 0
    return total
