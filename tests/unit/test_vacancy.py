"""Whether there is room for one more job: what a refused submission means for the others of its stay."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from opensearch_batch.errors import NoRoom, TaskLimit
from opensearch_batch.flow.jobs import Job
from opensearch_batch.submit.admission import TRY_AGAIN_SECONDS, MustWait
from opensearch_batch.submit.task_limit import CountedTasks
from opensearch_batch.submit.vacancy import Vacancy

JOB = Job("key", 1, "batch_1", "file-1", None, "model")
RUNS = CountedTasks(1)
FREED = CountedTasks(2, freed=("task-1", "task-2"))
STUCK = CountedTasks(1, ended=("task-1",))


class Stay:
    """A vacancy, with what its submissions answer and what its looks at counted tasks find, each in order."""

    def __init__(self, *found: CountedTasks) -> None:
        self.vacancy, self.found = Vacancy(), list(found)

    def take(self, name: str, *answers: Exception | Job) -> Job:
        left = list(answers)

        def submit() -> Job:
            answer = left.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        made = self.vacancy.take(name, submit, lambda: self.found.pop(0), lambda: 100.0)
        assert not left
        return made


def test_a_submission_that_is_taken_asks_for_nothing() -> None:
    assert Stay().take("shard 0", JOB) == JOB


def test_a_full_quota_is_waited_for_and_the_next_submission_is_not_tried() -> None:
    stay = Stay()
    with pytest.raises(MustWait, match="^shard 0 waits for room: quota of 2") as waits:
        stay.take("shard 0", NoRoom("quota of 2"))
    assert (waits.value.wanted.not_before, waits.value.wanted.awaits) == (100.0 + TRY_AGAIN_SECONDS, "room")
    with pytest.raises(MustWait, match="^shard 1 waits for room: another submission of its bundle found none"):
        stay.vacancy.refuse_where_full("shard 1", 100.0)


def test_where_there_is_room_nothing_is_refused() -> None:
    Stay().vacancy.refuse_where_full("shard 1", 100.0)


def test_a_place_that_came_free_is_taken() -> None:
    assert Stay(FREED).take("shard 0", TaskLimit("429"), JOB) == JOB


@pytest.mark.parametrize("again", [TaskLimit("429"), NoRoom("quota of 2")])
def test_a_place_that_another_was_faster_to_take_is_waited_for(again: NoRoom) -> None:
    with pytest.raises(MustWait, match=f"^shard 0 waits for room: {again}"):
        Stay(FREED).take("shard 0", TaskLimit("429"), again)


def test_without_a_place_the_others_are_not_tried_and_the_counted_tasks_not_looked_at_again() -> None:
    stay = Stay(RUNS)
    with pytest.raises(MustWait, match="^shard 0 waits for room: 429 Counted tasks: 1. None of their jobs"):
        stay.take("shard 0", TaskLimit("429"))
    with pytest.raises(MustWait, match="^shard 1 waits for room: 429$"):
        stay.take("shard 1", TaskLimit("429"))  # was under way when shard 0 was refused


def test_where_no_place_comes_free_by_itself_a_person_is_told() -> None:
    stay = Stay(STUCK)
    with pytest.raises(TaskLimit, match="^shard 0: 429 Counted tasks: 1. Ended at the provider"):
        stay.take("shard 0", TaskLimit("429"))
    with pytest.raises(MustWait):
        stay.vacancy.refuse_where_full("shard 1", 100.0)


def test_places_that_another_thread_has_freed_meanwhile_are_taken_without_a_look() -> None:
    stay = Stay(FREED)

    def refused_while_another_frees() -> Job:
        assert stay.take("shard 1", TaskLimit("429"), JOB) == JOB
        raise TaskLimit("429")

    answers: list[Callable[[], Job]] = [refused_while_another_frees, lambda: JOB]
    made = stay.vacancy.take("shard 0", lambda: answers.pop(0)(), lambda: stay.found.pop(0), lambda: 100.0)
    assert (made, stay.found) == (JOB, [])
