"""What servers really say, on real Airflow processes: whole runs that once paid twice; the ledger is the witness."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.test_repair import manifest_of, sent_since
from tests.e2e.test_runs import box, start_small_run

if TYPE_CHECKING:
    from stack.stack import Stack
    from tests.e2e.test_runs import Box

__all__ = ["box"]

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize(
    ("fault", "sizes_of_jobs"),
    [
        ({"fault": "wrong_size", "size": 0, "times": -1}, [50]),
        ({"fault": "id_later", "reads": 2}, [50]),
        ({"fault": "odd_rows", "as": "status_0", "count": 5}, [50, 5]),
    ],
    ids=["files without a size", "completed before the file is named", "rows without a status"],
)
def test_each_row_lands_once_and_only_rows_without_an_answer_are_sent_again(
    stack: Stack, box: Box, fault: dict[str, Any], sizes_of_jobs: list[int]
) -> None:
    known = {job["id"] for job in box.ledger()}
    box.order(**fault)
    run = start_small_run(stack)
    assert run.wait() == "success"
    sent = sent_since(stack, box, known)
    assert [len(job) for job in sent] == sizes_of_jobs
    _, landed = manifest_of(stack, run)
    assert landed["failures"] == []
    assert sorted(landed["results"]) == sorted(sent[0]), "each row once"
