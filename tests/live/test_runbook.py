"""The commands of docs/runbook-task-limit.md do what the page says, here against the sandbox."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.server import Sandbox
from tests.sandbox.bench import ML, Server

if TYPE_CHECKING:
    import httpx

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "runbook-task-limit.md").read_text(encoding="utf-8")
LINE = {
    "custom_id": "1",
    "method": "POST",
    "url": "/v1/embeddings",
    "body": {"model": "text-embedding-3-small", "input": "a"},
}


@dataclass(frozen=True)
class Command:
    method: str
    target: str
    body: str | None

    def send(self, server: Server, task_id: str = "") -> httpx.Response:
        path = self.target.replace("$OPENSEARCH", "").replace("$TASK", task_id)
        body = json.loads(self.body) if self.body else None
        if body:
            body.pop("_source", None)  # the sandbox does not serve it; it only shortens what is shown
        return server.http.request(self.method, path, json=body)


def commands() -> list[Command]:
    found = []
    for block in re.findall(r"^```bash\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
        program, *words = shlex.split(block)
        assert program == "curl"
        options = {words[at]: words[at + 1] for at in range(len(words)) if words[at] in ("-X", "-d", "-H")}
        [target] = [word for word in words if word.startswith("$OPENSEARCH/")]
        found.append(Command(options.get("-X", "GET"), target, options.get("-d")))
    return found


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Sandbox(tmp_path, pace="clock:3600", profile="2.19.6") as box:
        made = Server(box.url)
        yield made
        made.http.close()


def submit(server: Server, model_id: str, file_id: str) -> httpx.Response:
    body = {"parameters": {"input_file_id": file_id}}
    return server.http.post(f"{ML}/models/{model_id}/_batch_predict", json=body)


def test_reading_a_task_that_has_ended_makes_room_and_lifting_the_check_does(server: Server) -> None:
    _, counted, read, cancel, lift, default = commands()
    server.ask("PUT", "/_cluster/settings", {"persistent": {"plugins.ml_commons.max_batch_inference_tasks": 2}})
    model_id, file_id = server.model(), server.upload([LINE])
    tasks = [submit(server, model_id, file_id).json()["task_id"] for _ in range(2)]
    refused = submit(server, model_id, file_id)
    assert refused.status_code == 429
    said = " ".join(PAGE.split("\n\n")[1].split())
    assert said == refused.json()["error"]["reason"]

    def seen(command: Command) -> list[dict[str, Any]]:
        hits: list[dict[str, Any]] = command.send(server).raise_for_status().json()["hits"]["hits"]
        return hits

    assert [hit["_id"] for hit in seen(counted)] == tasks
    assert all({"id", "status"} <= set(hit["_source"]["remote_job"]) for hit in seen(counted))

    assert cancel.send(server, tasks[0]).is_success
    server.pace("instant")
    assert len(seen(counted)) == 2
    assert submit(server, model_id, file_id).status_code == 429
    assert read.send(server, tasks[0]).json()["state"] in ("CANCELLING", "CANCELLED")
    assert [hit["_id"] for hit in seen(counted)] == tasks[1:]
    assert submit(server, model_id, file_id).is_success

    assert submit(server, model_id, file_id).status_code == 429
    assert lift.send(server).json()["acknowledged"] is True
    assert all(submit(server, model_id, file_id).is_success for _ in range(10))
    assert default.send(server).json()["acknowledged"] is True


def test_the_page_asks_for_the_setting_by_its_name() -> None:
    assert commands()[0].target.endswith("filter_path=**.max_batch_inference_tasks")
    assert len(commands()) == 6
