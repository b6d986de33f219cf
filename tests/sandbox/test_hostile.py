"""Rows and servers that mean harm: clear errors, and nothing is written outside of the run's own places."""

from __future__ import annotations

import json

import pytest
from airflow.sdk.exceptions import AirflowFailException

from opensearch_batch.cluster.hook import MLCommonsHook
from tests.sandbox.bench import Run, Server

IDS = [
    "../../../escaped",
    "/etc/passwd",
    "a/b?c=d#e",
    "%2e%2e%2f",
    "con\\aux:*",
    "é\u2028\U0001f600",
    "-",
    "x" * 200,
]


def test_ids_with_signs_of_paths_are_names_of_rows_alone(run: Run, model_id: str) -> None:
    before = {path.name for path in run.folder.parent.iterdir()}
    report = run.through(model_id, [{"id": each, "text": f"text {number}"} for number, each in enumerate(IDS)])[
        "report"
    ]
    assert (report["answered"], report["failed"], report["missing"]) == (len(IDS), 0, 0)
    assert set(run.landed("results")) == set(IDS)
    assert {path.name for path in run.folder.parent.iterdir()} == before
    assert all(name.startswith(("results-", "manifest")) for name in run.files())


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (b'{"id": "a\\u0000", "text": "x"}', "line 1: the id in 'id' has a NUL"),
        (b'{"id": "a", "text": "\xff"}', r"line 1: not UTF-8 \(byte 21: 0xff\)"),
        (b'{"id": "a", "text": ' + b"[" * 100_000, "line 1: not JSON"),
        (b"\0" * 1000, "line 1: not JSON"),
    ],
)
def test_a_row_that_cannot_be_sent_is_named(server: Server, run: Run, row: bytes, words: str) -> None:
    with pytest.raises(AirflowFailException, match=words):
        run.prepare(row + b"\n")
    assert server.uploads() == []


def test_a_login_in_the_clusters_host_works_and_is_shown_nowhere(
    server: Server, model_id: str, run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    host = server.url.replace("http://", "http://user:pw%2Fnot-a-secret@")
    monkeypatch.setenv("AIRFLOW_CONN_OPENSEARCH_DEFAULT", json.dumps({"conn_type": "http", "host": f"{host}/"}))
    assert run.through(model_id, [{"id": "1", "text": "x"}])["report"]["answered"] == 1
    assert MLCommonsHook().test_connection() == (True, f"{server.url} answers; it counts 0 open batch tasks that this "
                                                       "user may see.")  # fmt: skip
    server.fault("down", face="ml_commons")
    good, said = MLCommonsHook().test_connection()
    assert not good
    assert "not-a-secret" not in said + caplog.text + str(run.xcoms)
