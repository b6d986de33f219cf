"""One Airflow on several machines for all tests here. ``make test-celery`` runs them."""

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stack.airflow import LOADED_ONCE, UNCHANGED_FILES
from stack.several import SeveralMachines
from tests.celery.shared_place import put_rows
from tests.e2e.test_runs import Box

if TYPE_CHECKING:
    from collections.abc import Iterator

# A lost machine's tasks are noticed after 45 s instead of 300, and taken over from a lost scheduler after 10.
SOON = {
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "45",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
}


@pytest.fixture(scope="session")
def several() -> Iterator[SeveralMachines]:
    """On a fresh home, not in pytest's own folder, which is closed to PostgreSQL's user."""
    if importlib.util.find_spec("celery") is None:
        pytest.skip("this Python has no Celery: make test-celery")
    settings = UNCHANGED_FILES | LOADED_ONCE | SOON
    with (
        tempfile.TemporaryDirectory(prefix="opensearch-batch-celery-") as name,
        SeveralMachines(Path(name) / "home", settings=settings) as started,
    ):
        put_rows(started.sandbox_url)
        yield started


@pytest.fixture
def stack(several: SeveralMachines) -> Iterator[SeveralMachines]:
    """With every machine up again afterwards."""
    yield several
    for name, part in several.airflows.items():
        if not part.running:
            several.start_part(name)


@pytest.fixture
def box(stack: SeveralMachines) -> Iterator[Box]:
    control = Box(stack.sandbox_url)
    yield control
    control.calm()
