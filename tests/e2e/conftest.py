"""One stack for all e2e tests of a session: starting it costs more than most of them."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stack.airflow import CHECKOUT, LOADED_ONCE, UNCHANGED_FILES
from stack.stack import Stack
from tests.e2e.observing import Observer, observing

if TYPE_CHECKING:
    from collections.abc import Iterator


NIGHTLY_LIMIT = 2
"""Jobs in flight, instead of the spec's 5: fewer nights show as well that the others wait."""


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Function) -> None:
    """A test that is tried again begins on a fresh stack: its first try has left rows, runs and jobs behind."""
    if getattr(item, "execution_count", 1) > 1:
        for started in item._fixtureinfo.name2fixturedefs.get("stack", ()):
            started.finish(item._request)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def observer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observer]:
    """What Airflow sends its metrics and its lineage to."""
    with observing(tmp_path_factory.mktemp("observed")) as reading:
        yield reading


@pytest.fixture(scope="session")
def stack(observer: Observer) -> Iterator[Stack]:
    """The project's own plugins and DAGs, and those below, on a fresh home. A test that kills a part starts it again.

    The home is not in pytest's own folder, which its next start closes to other users, PostgreSQL's too.
    """
    with tempfile.TemporaryDirectory(prefix="opensearch-batch-e2e-") as name:
        folder = Path(name)
        shutil.copytree(CHECKOUT / "dags", folder / "dags")
        shutil.copytree(Path(__file__).with_name("dags"), folder / "dags", dirs_exist_ok=True)
        _limit(folder / "dags" / "specs" / "nightly_articles.yaml")
        settings = UNCHANGED_FILES | LOADED_ONCE | observer.settings
        with Stack(folder / "home", dags=folder / "dags", settings=settings) as started:
            yield started


def _limit(spec: Path) -> None:
    text, changed = re.subn(r"max_jobs_in_flight: \d+", f"max_jobs_in_flight: {NIGHTLY_LIMIT}", spec.read_text())
    assert changed == 1
    spec.write_text(text)
