"""One job a shard, in any order of kills, lost answers, late jobs, lost notes, outages and clears.

What is presumed: a cluster that is still sending is behind by less than the settle time, and so is the list of jobs for
a job without a task.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from msgspec.structs import replace

from opensearch_batch.errors import OutcomeUnknown, Refused, Unavailable
from opensearch_batch.flow.jobs import Job
from opensearch_batch.submit.names import shard_key
from tests.unit.fakes import Clock, Killed, World
from tests.unit.test_submission import SETTLE, SHARD, Case

SHARDS = [SHARD, replace(SHARD, index=1, uri="mem://1", sha256="sha-1")]
RUN = "dag|run|task"
SHORTER = st.integers(0, int(SETTLE) - 5)


class SlowWorld(World):
    """Jobs come, and are listed, only when their time has come."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.coming: list[tuple[float, str]] = []
        self.listed_from: dict[str, float] = {}
        self.lag = 0

    def arrive(self) -> None:
        for at, file_id in [*self.coming]:
            if at <= self.clock.time:
                self.coming.remove((at, file_id))
                super().new_job(file_id)

    def new_job(self, file_id: str, status: str = "validating", **more: Any) -> dict[str, Any]:
        job = super().new_job(file_id, status, **more)
        self.listed_from[job["id"]] = self.clock.time + self.lag
        return job

    def find_jobs(self, input_file_id: str) -> list[dict[str, Any]]:
        self.arrive()
        found = super().find_jobs(input_file_id)
        return [job for job in found if self.listed_from.get(job["id"], 0.0) <= self.clock.time]


class AnyOrder(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.case = Case()
        self.world = self.case.world = SlowWorld(self.case.clock)
        self.handed_on: dict[str, int] = {}
        """How many jobs a shard had when a repair round got its rows."""

    def submit(self, index: int) -> Job:
        return self.case.submitter(is_there=self.handed_on.__contains__).submit(SHARDS[index])

    def attempt(self, index: int, *, notes_lost: bool = False) -> None:
        """A try that may be killed, or end in an error that a retry or a clear follows."""
        with suppress(Killed, Unavailable, Refused):
            self.submit(index)
        self.case.memory.kill_at_set = 0
        self.case.clock.at_sleep.clear()
        self.world.accidents.clear()
        self.world.lag = 0
        if notes_lost:
            self.case.memory.values.clear()

    def of_shard(self, index: int) -> list[dict[str, Any]]:
        key = shard_key(RUN, SHARDS[index])
        files = {file_id for name, file_id in self.world.files if name.startswith(key)}
        return [job for job in self.world.jobs if job["input_file_id"] in files]

    @rule(index=st.integers(0, 1))
    def try_it(self, index: int) -> None:
        self.attempt(index)

    @rule(index=st.integers(0, 1), write=st.integers(1, 2))
    def try_it_and_be_killed_at_a_note(self, index: int, write: int) -> None:
        self.case.memory.kill_at_set = write
        self.attempt(index)

    @rule(index=st.integers(0, 1), lag=st.sampled_from([0, 1000]), notes_lost=st.booleans(), search=st.booleans())
    def be_killed_after_the_cluster_has_it(self, index: int, lag: int, notes_lost: bool, search: bool) -> None:
        """And afterwards find the cluster with or without its search."""
        self.world.lag = lag
        self.world.kill_after_submit()
        self.attempt(index, notes_lost=notes_lost)
        self.world.search_is_down = not search

    @rule(index=st.integers(0, 1), error=st.sampled_from([Killed(), Refused("no"), OutcomeUnknown("no answer")]))
    def nothing_is_sent(self, index: int, error: BaseException) -> None:
        self.world.fail(error)
        self.attempt(index)

    @rule(index=st.integers(0, 1), lag=SHORTER)
    def the_answer_is_lost(self, index: int, lag: int) -> None:
        self.world.lag = lag
        self.world.lose_answer()
        self.attempt(index)

    @rule(index=st.integers(0, 1), late=SHORTER, looks=st.integers(0, 5), notes_lost=st.booleans())
    def the_job_comes_late_and_its_task_is_killed(self, index: int, late: int, looks: int, notes_lost: bool) -> None:
        def accident() -> None:
            self.world.coming.append((self.case.clock.time + late, self.world.submissions[-1]["input_file_id"]))
            raise OutcomeUnknown("no answer")

        self.world.accidents.append(accident)
        self.case.clock.at_sleep = [lambda: None] * looks + [self._kill]
        self.attempt(index, notes_lost=notes_lost)

    def _kill(self) -> None:
        raise Killed

    @rule(seconds=st.integers(1, 90))
    def time_passes(self, seconds: int) -> None:
        self.case.clock.time += seconds
        self.world.arrive()

    @rule()
    def the_notes_are_lost(self) -> None:
        self.case.memory.values.clear()

    @rule(down=st.booleans())
    def the_cluster_is(self, down: bool) -> None:
        self.world.cluster_is_down = down

    @rule(down=st.booleans())
    def its_search_is(self, down: bool) -> None:
        self.world.search_is_down = down

    @rule(index=st.integers(0, 1), handed_on=st.booleans())
    def its_job_ends_without_answers(self, index: int, handed_on: bool) -> None:
        for job in self.of_shard(index)[-1:]:
            if job["status"] == "validating" and not self.world.coming:
                job["status"] = "failed"
                if handed_on:
                    uri = SHARDS[index].handed_on_uri(shard_key(RUN, SHARDS[index]))
                    self.handed_on[uri] = len(self.of_shard(index))

    @rule(index=st.integers(0, 1))
    def its_job_ends_with_answers(self, index: int) -> None:
        for job in self.of_shard(index)[-1:]:
            if job["status"] == "validating":
                job.update(status="completed", output_file_id="file-o")

    @invariant()
    def each_shard_is_paid_for_once(self) -> None:
        """A job that ended without an answer costs nothing; where a repair round has its rows no other may follow."""
        for shard in SHARDS:
            jobs = self.of_shard(shard.index)
            assert sum(job["status"] != "failed" for job in jobs) <= 1
            assert len(jobs) == self.handed_on.get(shard.handed_on_uri(shard_key(RUN, shard)), len(jobs))

    def teardown(self) -> None:
        self.world.cluster_is_down = self.world.search_is_down = False
        for shard in SHARDS:
            job = self.submit(shard.index)
            self.case.clock.time += SETTLE
            self.world.arrive()
            self.each_shard_is_paid_for_once()
            assert self.submit(shard.index) == job, "whoever asks again gets the same job"


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(
    max_examples=250,
    stateful_step_count=12,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],  # to shrink takes minutes, and twelve steps can be read
)
