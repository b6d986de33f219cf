"""`python -m live` as a person runs it, with a sandbox as their cluster and their provider."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from live.ten_rows import ROWS
from sandbox.server import Sandbox
from tests.sandbox.bench import KEY, Server

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "cluster-not-a-secret"
SECRETS = {
    KEY,
    PASSWORD,
    base64.b64encode(f"live_user:{PASSWORD}".encode()).decode(),
    "extra-header-not-a-secret",
    "aws-key-not-a-secret",
}
BRAKE_SECONDS = 900
UNFINISHED = 3


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """Nothing moves on by itself but at once: tests that need a job to last say so."""
    with Sandbox(tmp_path / "box", pace="instant") as box:
        made = Server(box.url)
        yield made
        made.http.close()


@pytest.fixture
def person(server: Server, tmp_path: Path) -> Person:
    return Person(server, tmp_path)


class Person:
    """Has connections in the environment, no Airflow database, and a folder for transcripts."""

    def __init__(self, server: Server, home: Path) -> None:
        self.folder = home / "transcripts"
        host, port = server.url.removeprefix("http://").split(":")
        cluster = {"conn_type": "http", "schema": "http", "host": host, "port": int(port)}
        cluster |= {"login": "live_user", "password": PASSWORD, "extra": {"X-Pass": "extra-header-not-a-secret"}}
        provider = {"conn_type": "openai", "host": f"{server.url}/v1", "password": KEY}
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTHONPATH"))},
            "AIRFLOW_HOME": str(home / "airflow"),
            "AIRFLOW_CONN_OPENSEARCH_DEFAULT": json.dumps(cluster),
            "AIRFLOW_CONN_OPENAI_DEFAULT": json.dumps(provider),
            "AWS_SECRET_ACCESS_KEY": "aws-key-not-a-secret",
        }

    def runs(self, *arguments: str, says: str = "") -> subprocess.CompletedProcess[str]:
        command = self._command(*arguments)
        return subprocess.run(command, input=says, capture_output=True, text=True, cwd=ROOT, env=self.environment)

    @contextmanager
    def begins(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """Ended at the latest after BRAKE_SECONDS, so that reading its output cannot wait for ever."""
        command = self._command(*arguments)
        with subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
            env=self.environment,
            preexec_fn=_take_ctrl_c,
        ) as process:
            watch = threading.Timer(BRAKE_SECONDS, process.kill)
            watch.start()
            try:
                yield process
            finally:
                watch.cancel()
                process.kill()

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "live", "--folder", str(self.folder), "--poll-seconds", "0.2", *arguments]

    @property
    def files(self) -> list[Path]:
        return [path for path in self.folder.rglob("*") if path.is_file()]

    @property
    def written(self) -> str:
        """Names and contents of everything that the runs left."""
        return "".join(f"{path.relative_to(self.folder)}\n{path.read_text()}" for path in self.files)

    @property
    def transcript(self) -> list[dict[str, Any]]:
        [path] = self.folder.glob("live-*.jsonl")
        return [json.loads(line) for line in path.read_text().splitlines()]

    @property
    def summary(self) -> str:
        [path] = self.folder.glob("live-*.md")
        return path.read_text()

    def event(self, name: str) -> dict[str, Any]:
        [found] = [line for line in self.transcript if line.get("event") == name]
        return found

    @property
    def results(self) -> list[dict[str, Any]]:
        [path] = self.folder.glob("*/out/results-*.jsonl")
        return [json.loads(line) for line in path.read_text().splitlines()]


def secrets_in(text: str) -> set[str]:
    return {secret for secret in SECRETS if secret in text}


def _take_ctrl_c() -> None:
    """As a terminal's processes do: those of a shell's background ignore the signal, and so do their children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def read_until(process: subprocess.Popen[str], pattern: str) -> str:
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if re.search(pattern, line):
            return said
    raise AssertionError(f"ended without {pattern!r}:\n{said}")


def objects_in(server: Server) -> list[dict[str, Any]]:
    return [found for kind in ("connectors", "models", "model_groups", "tasks") for found in server.found(kind)]


@pytest.mark.parametrize("answer", ["no\n", "", "y\n"], ids=["no", "nothing", "half a yes"])
def test_without_a_yes_nothing_is_sent(person: Person, server: Server, answer: str) -> None:
    run = person.runs(says=answer)
    assert run.returncode == 1, run.stderr
    assert (server.calls, server.ledger) == ([], [])
    assert "nothing was sent" in run.stdout
    assert f"cluster    {server.url}" in run.stdout
    assert re.search(r"costs +about \$0\.0000\d+ \(\$0\.01 a million tokens", run.stdout)
    assert "each called opensearch-batch-live-" in run.stdout
    assert person.files == []


def test_with_a_yes_ten_rows_are_answered_and_nothing_is_left_in_the_cluster(person: Person, server: Server) -> None:
    other = server.model(name="somebody-elses")
    before = objects_in(server)
    server.pace("polls:2")
    run = person.runs(says="yes\n")
    assert run.returncode == 0, run.stdout + run.stderr
    [job] = server.ledger
    assert (job["requests"], job["status"]) == (ROWS, "completed")
    assert {row["id"] for row in person.results} == {f"live-{n}" for n in range(1, ROWS + 1)}
    assert objects_in(server) == before
    assert other in {found["_id"] for found in before}

    [path] = person.folder.glob("live-*.jsonl")
    assert re.fullmatch(r"live-\d{4}-\d\d-\d\dT\d{6}-3\.6\.0\.jsonl", path.name)
    calls = [line for line in person.transcript if "method" in line]
    assert all(set(line) == {"at", "to", "method", "path", "status", "ms", "answer"} for line in calls)
    assert [_call(line) for line in calls if line["to"] == "cluster"] == _calls_of_login(server)
    assert [line["path"] for line in calls if line["to"] == "provider" and line["method"] == "POST"] == ["/v1/files"]
    checks = [line for line in person.transcript if line.get("event") == "check"]
    assert {check["held"] for check in checks} == {True, None}
    assert len(checks) == 11
    assert "**Everything held.**" in person.summary
    assert f"| answered | {ROWS} of {ROWS} |" in person.summary
    assert not (person.folder / "unfinished.json").exists()
    assert secrets_in(run.stdout + run.stderr + person.written) == set()


def _call(line: dict[str, Any]) -> tuple[str, str, int]:
    return line["method"], line["path"], line["status"]


def _calls_of_login(server: Server) -> list[tuple[str, str, int]]:
    """What the cluster was asked by that person, and not by the test."""
    return [
        (call["method"], call["path"] + (f"?{call['query']}" if call["query"] else ""), call["status"])
        for call in server.calls
        if call["headers"].get("authorization", "").startswith("Basic ")
    ]


def test_no_secret_is_written_even_where_answers_quote_them(person: Person, server: Server) -> None:
    quoted = " and ".join(SECRETS)
    error = {"error": {"type": "x", "reason": quoted, "root_cause": [{"reason": f"for live_user: {quoted}"}]}}
    server.fault("answer", method="GET", path="^/$", status=403, body=error)
    server.fault("answer", method="POST", path="/connectors/_search", status=503, body=quoted)
    server.fault("answer", method="POST", path="/v1/files", status=401, body={"error": {"message": quoted}})
    run = person.runs("--yes")
    assert run.returncode == 1, run.stdout + run.stderr
    assert (server.ledger, objects_in(server)) == ([], [])
    assert {".jsonl", ".md"} <= {path.suffix for path in person.files}
    assert secrets_in(run.stdout + run.stderr + person.written) == set()
    assert "live_user" not in person.written
    assert "error: upload batch-" in run.stdout
    statuses = [(line["path"], line["status"]) for line in person.transcript if "status" in line]
    assert {("/", 403), ("/_plugins/_ml/connectors/_search", 503), ("/v1/files", 401)} <= set(statuses)
    assert [path.name for path in person.folder.glob("live-*-unknown.md")] != []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill -9"])
def test_an_interrupted_run_goes_on_and_pays_once(person: Person, server: Server, number: signal.Signals) -> None:
    server.pace("clock:3600")
    with person.begins("--yes") as process:
        read_until(process, "validating")
        process.send_signal(number)
        rest, _ = process.communicate()
    assert process.returncode == (UNFINISHED if number == signal.SIGINT else -number)
    assert ("goes on from here and pays nothing twice" in rest) == (number == signal.SIGINT)
    assert len(server.ledger) == 1
    assert "unfinished.json" in person.written
    assert secrets_in(person.written) == set()
    lines_before = len(person.transcript)
    server.pace("instant")
    run = person.runs()
    assert run.returncode == 0, run.stdout + run.stderr
    assert 'Type "yes"' not in run.stdout
    assert [job["status"] for job in server.ledger] == ["completed"]
    assert (len(server.uploads()), len(person.results)) == (1, ROWS)
    assert len(person.transcript) > lines_before
    assert objects_in(server) == []


def test_how_long_the_providers_list_lags_is_measured(person: Person, server: Server) -> None:
    server.fault("list_lag", seconds=3, times=-1)
    run = person.runs("--yes")
    assert run.returncode == 0, run.stdout + run.stderr
    lag = person.event("list lag")
    assert 1 < lag["absent_at"] < lag["seen_at"]
    assert 2.5 < lag["seen_at"] < lag["absent_at"] + 3
    assert lag["interrupted"] is False
    assert f"at most {lag['seen_at']:.2f} s (not yet after {lag['absent_at']:.2f} s)" in person.summary


def test_a_job_that_the_cluster_may_not_see_is_followed_at_the_provider(person: Person, server: Server) -> None:
    refusal = {"error": {"reason": "Trusted connector endpoints regex is not configured.", "root_cause": []}}
    server.pace("clock:3600")
    with person.begins("--yes") as process:
        read_until(process, "validating")
        server.fault("answer", method="GET", path="/_plugins/_ml/tasks/", status=400, body=refusal, times=-1)
        said = read_until(process, "it is followed at the provider")
        server.pace("instant")
        rest, _ = process.communicate()
    assert process.returncode == 0, said + rest
    assert "| followed | at the provider |" in person.summary
    assert re.search(r"- task \S+: delete task .*Task cannot be deleted in running state", person.summary)
    assert "docs/runbook-task-limit.md" in person.summary
    assert [found["task_type"] for found in objects_in(server)] == ["BATCH_PREDICTION"]


def test_a_broken_promise_of_the_cluster_is_told_and_the_rows_are_answered(person: Person, server: Server) -> None:
    server.fault("answer", method="GET", path="live-absent", status=200, body={"state": "COMPLETED"})
    run = person.runs("--yes", "--keep")
    assert run.returncode == 1, run.stdout + run.stderr
    assert re.findall(r"BROKEN +(.*)", run.stdout) == ["an unknown task is 404"]
    assert "| an unknown task is 404 | DID NOT HOLD | it was not refused |" in person.summary
    assert "**Not everything held.**" in person.summary
    assert len(person.results) == ROWS
    kept = [found for kind in ("connectors", "models", "model_groups") for found in server.found(kind)]
    assert len(kept) == 3
    assert all(found["_id"] in person.summary for found in kept)


def test_what_cannot_begin_says_why_and_sends_nothing(person: Person, server: Server) -> None:
    priceless = person.runs("--yes", "--model", "nobodys-model")
    person.folder.mkdir(exist_ok=True)
    other = {"name": "x", "date": "2026-01-31", "about": {"cluster": "https://another.example"}}
    (person.folder / "unfinished.json").write_text(json.dumps({"begun": other}))
    elsewhere = person.runs("--yes")
    del person.environment["AIRFLOW_CONN_OPENAI_DEFAULT"]
    keyless = person.runs("--yes")
    assert [run.returncode for run in (priceless, elsewhere, keyless)] == [2, 2, 2]
    assert "no price of nobodys-model is known: give --usd-per-million-tokens" in priceless.stderr
    assert "unfinished run with {'cluster': 'https://another.example'}" in elsewhere.stderr
    assert "openai_default" in keyless.stderr
    assert server.calls == []
