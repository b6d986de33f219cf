"""The package is replaced under a wait in flight: what the last release stored in Airflow's database ends well here."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stack.airflow import CHECKOUT, wheel_version
from stack.stack import Stack
from tests.e2e.test_runs import Box, start_small_run, states, waiting_job
from tests.patience import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(wheel_version() is not None, reason="a wheel comes before the plugins folder that is replaced"),
]

LAST_RELEASE = "1c032f8be49ed91d5f4bee17b26bcb2504460104"
"""A commit of this repository: the last package with all modules in one folder."""


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """`plugins/` and `dags/` of the last release, from the checkout's own history."""
    archive = subprocess.run(
        ["git", "archive", LAST_RELEASE, "plugins", "dags"], cwd=CHECKOUT, capture_output=True, check=False
    )
    if archive.returncode and not os.environ.get("CI"):
        pytest.skip(f"no history to take the last release from: {archive.stderr.decode().strip()}")
    assert archive.returncode == 0, archive.stderr.decode()
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(tmp_path, filter="data")
    return tmp_path


@pytest.fixture
def stack(released: Path) -> Iterator[Stack]:
    with tempfile.TemporaryDirectory(prefix="opensearch-batch-e2e-") as home:
        plugins = Path(home) / "plugins"
        shutil.copytree(released / "plugins", plugins)
        with Stack(Path(home), dags=released / "dags", plugins=plugins, pace="clock:600") as started:
            yield started


def replace_package(stack: Stack) -> None:
    """As the docs tell: the new folder in the place of the old one, then the parts that keep code in memory anew."""
    keeping_code = ("scheduler", "dag-processor", "triggerer")
    for part in keeping_code:
        stack.stop_part(part)
    plugins = stack.home.path / "plugins"
    shutil.rmtree(plugins)
    shutil.copytree(CHECKOUT / "plugins", plugins, ignore=shutil.ignore_patterns("__pycache__"))
    for part in keeping_code:
        stack.start_part(part)


def test_a_wait_begun_with_the_last_release_ends_well_with_this_one(stack: Stack) -> None:
    box = Box(stack.sandbox_url)
    run = start_small_run(stack)
    job = waiting_job(run, box)

    replace_package(stack)
    looks = box.looks(job["task_id"])
    eventually("a look of the new package", lambda: box.looks(job["task_id"]) > looks)
    assert states(run)[("shard.wait_for_batch", 0)] == "deferred"
    box.pace("instant")

    assert run.wait() == "success"
    report = run.xcom("report")
    assert (report["answered"], report["missing"]) == (50, 0)
    assert [entry["provider_job_id"] for entry in report["jobs"]] == [job["provider_job_id"]]
    assert len(box.ledger()) == 1
