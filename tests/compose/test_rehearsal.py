"""The services of docker-compose.yaml run the demo: with the sandbox as the cluster, and on a real OpenSearch."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

import httpx
import pytest

from stack.processes import left_over
from stack.run import DagRun
from stack.search import local_path
from tests.compose.clusters import RealNode, SandboxFace
from tests.compose.rehearsal import PORTS, Rehearsal
from tests.compose.resolved import ROOT
from tests.compose.substitutes import TABLE
from tests.listening import listened_on
from tests.nodes import reason_to_skip

if TYPE_CHECKING:
    from stack.stack import Stack


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(SandboxFace, id="sandbox", marks=pytest.mark.e2e),
        pytest.param(RealNode, id="opensearch", marks=pytest.mark.real),
    ],
)
def rehearsal(request: pytest.FixtureRequest, env_file: Path) -> Iterator[Rehearsal]:
    """Not in pytest's own folder: it is closed to the user that a real node runs as."""
    if request.param is RealNode and (reason := reason_to_skip()):
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(prefix="opensearch-batch-compose-", ignore_cleanup_errors=True) as folder:
        with Rehearsal(Path(folder), env_file, request.param()) as started:
            yield started
        assert left_over(started.home.path) == []


def log(run: DagRun, task_id: str) -> str:
    """Of all its instances."""
    return "\n".join(line for task in run.tasks() if task["task_id"] == task_id for line in run.log(task, lines=1000))


def test_the_demo_answers_every_row(rehearsal: Rehearsal) -> None:
    """The sandbox has a private address, from which no cluster reads a status: its jobs are followed there."""
    run = DagRun.trigger(cast("Stack", rehearsal.log_in()), "embed_stdlib_docs")
    state = run.wait()
    assert state == "success", {task["task_id"]: run.log(task) for task in run.tasks() if task["state"] == "failed"}

    report = run.xcom("report")
    assert report["records"] > 1000
    assert (report["answered"], report["failed"], report["missing"]) == (report["records"], 0, 0)
    assert len(report["jobs"]) == 3
    landed = [local_path(uri) for uri in report["results"]]
    assert all(path.is_relative_to(rehearsal.volume("batch-data")) for path in landed)
    assert sum(len(path.read_bytes().splitlines()) for path in landed) == report["records"]
    assert log(run, "shard.wait_for_batch").count("it is followed at the provider") == 3


def test_a_healthcheck_tells_a_service_that_is_gone(rehearsal: Rehearsal) -> None:
    sandbox = rehearsal.parts["sandbox"]
    assert rehearsal.is_healthy("sandbox")
    sandbox.stop()
    assert not rehearsal.is_healthy("sandbox")
    sandbox.start()
    rehearsal.wait_until_healthy("sandbox")


def test_nobody_comes_in_without_the_password(rehearsal: Rehearsal) -> None:
    url = rehearsal.url("airflow-apiserver:8080")
    with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
        assert client.get("/api/v2/dags").status_code == httpx.codes.UNAUTHORIZED
        wrong = client.post("/auth/token", json={"username": "admin", "password": "wrong"})
        assert wrong.status_code == httpx.codes.UNAUTHORIZED
        assert client.get("/auth/token").is_error


def test_only_the_listed_ports_listen(rehearsal: Rehearsal) -> None:
    """In a container each further one would be open to all others."""
    listening = {address for process in left_over(rehearsal.home.path) for address in listened_on(process)}
    listed = set(json.loads((rehearsal.home.path / "ports.json").read_text()).values())
    assert {rehearsal.ports[place] for place in PORTS} <= {address.port for address in listening} <= listed
    assert {address.ip for address in listening} <= {"127.0.0.1", "::ffff:127.0.0.1"}


def test_the_documentation_lists_every_substitute() -> None:
    text = (ROOT / "docs" / "compose.md").read_text()
    table = text.partition("| in the file | in the rehearsal |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", table, re.MULTILINE)
    assert dict(rows[1:] if rows[0][0].startswith("--") else rows) == TABLE
