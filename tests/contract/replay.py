"""`python -m tests.contract.replay`: play the recorded exchanges of real servers against the sandbox and report.

The sandbox sends real HTTP to a provider on loopback, which stands for the public address of the recordings under the
name localhost and for their loopback address under 127.0.0.1.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from sandbox.server import Sandbox
from sandbox.state import State
from tests.contract.cluster import Cluster
from tests.contract.differences import KNOWN, reason_for
from tests.contract.play import AT_ONCE, AT_THE_SAME_MOMENT, BEFORE, wait_until_deployed
from tests.contract.recordings import Exchange, Ids, differences, load
from tests.contract.scripted_provider import SEEN, Script, ScriptedProvider

PROFILES = ("2.19.6", "3.6.0", "3.7")
PUBLIC, PRIVATE = re.compile(r"198\.51\.100\.10:\d\d+"), re.compile(r"127\.0\.0\.1:\d\d+")
NOBODY_LISTENS = "198.51.100.10:9/"
AT_ONCE_CALLS = 16
TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Compared:
    name: str
    differences: tuple[str, ...]


@dataclass
class Replay:
    """One play under way; the steps of play.py work on it."""

    box: Sandbox
    cluster: Cluster
    provider: ScriptedProvider
    http: httpx.Client
    is_3x: bool
    exchanges: list[Exchange]
    ids: Ids = field(default_factory=Ids)
    deploying: list[str] = field(default_factory=list)

    @property
    def script(self) -> Script:
        return self.provider.script

    def run(self) -> list[Compared]:
        return [self._compare(exchange) for exchange in self.exchanges]

    def batch_id(self, of: str) -> str:
        return str(self.recorded(of)["remote_job"]["id"])

    def connector_of(self, of: str) -> str:
        return self.ids[self.recorded(of)["connector_id"]]

    def model_of(self, of: str) -> str:
        return self.ids[self.recorded(of)["model_id"]]

    def other_models(self) -> list[str]:
        """Those made so far for one question each."""
        made = (one for one in self.exchanges if "model-register-deploy-" in one.name and one.number <= "242")
        return [self.ids[one.answer["model_id"]] for one in made if one.answer["model_id"] in self.ids]

    def document(self, index: str, id_: str) -> dict[str, Any]:
        stored = self._state.get(index, id_)
        assert stored is not None, f"no {id_} in {index}"
        return stored.body

    def write(self, index: str, id_: str, body: dict[str, Any]) -> None:
        self._state.put(index, id_, body)

    def erase(self, index: str, id_: str) -> None:
        self._state.delete(index, id_)

    @property
    def _state(self) -> State:
        assert self.box.box is not None
        return self.box.box.state

    def recorded(self, number: str) -> Any:
        return next(one.answer for one in self.exchanges if one.number == number)

    def _compare(self, exchange: Exchange) -> Compared:
        if exchange.name not in AT_ONCE:
            wait_until_deployed(self)
        for step in BEFORE.get(exchange.name, BEFORE.get(exchange.number, ())):
            step(self)
        self._keep_in_step(exchange)
        self.provider.seen()
        status, answer = self._send(exchange)
        seen = [{name: call[name] for name in SEEN} for call in self.provider.seen()]
        found = [] if status == exchange.status else [f"status: {exchange.status}, here {status}"]
        found += differences(exchange.answer, answer, self.ids)
        if exchange.name not in AT_THE_SAME_MOMENT:
            found += (f"provider saw {line}" for line in differences(exchange.provider_saw, seen, self.ids))
        if status == 200 and "deploy=true" in exchange.path:
            self.deploying.append(answer["model_id"])
        return Compared(exchange.name, tuple(found))

    def _keep_in_step(self, exchange: Exchange) -> None:
        """Calls that were not recorded made batches too; the recorded number keeps both in step."""
        if isinstance(exchange.answer, dict) and "task_id" in exchange.answer:
            self.number_the_next_batch(exchange.answer.get("remote_job") or {})

    def number_the_next_batch(self, job: dict[str, Any]) -> None:
        if number := re.fullmatch(r"batch_(\d{4})", str(job.get("id"))):
            self.script.next_number = int(number[1])

    def _send(self, exchange: Exchange) -> tuple[int, Any]:
        if exchange.name not in AT_THE_SAME_MOMENT:
            return self.call(exchange)
        with ThreadPoolExecutor(AT_ONCE_CALLS) as pool:
            answers = list(pool.map(lambda _: self.call(exchange), range(AT_ONCE_CALLS)))
        return next((answer for answer in answers if answer[0] == exchange.status), answers[0])

    def call(self, exchange: Exchange) -> tuple[int, Any]:
        body = exchange.body if exchange.body is None or isinstance(exchange.body, str) else _json(exchange.body)
        response = self.http.request(
            exchange.method,
            self.box.url + self._ours(exchange.path),
            content=None if body is None else self._ours(body).encode(),
            headers={} if body is None else {"Content-Type": "application/json"},
        )
        try:
            return response.status_code, response.json()
        except ValueError:
            return response.status_code, response.text

    def _ours(self, text: str) -> str:
        port = self.provider.port
        text = PRIVATE.sub(f"127.0.0.1:{port}", PUBLIC.sub(f"localhost:{port}", text))
        return self.ids.translate(text.replace(NOBODY_LISTENS, "localhost:9/"))


def _json(body: Any) -> str:
    return httpx.Request("POST", "http://unused", json=body).content.decode()


def play(profile: str, folder: Path) -> list[Compared]:
    """Each part of the recordings that began with a fresh server begins with a fresh sandbox."""
    exchanges = load(profile)
    parts = ([one for one in exchanges if one.name < "6"], [one for one in exchanges if one.name >= "6"])
    found: list[Compared] = []
    for index, part in enumerate(parts):
        if not part:
            continue
        box = Sandbox(folder / str(index), profile=profile, private_ip="refuse", public_names=("localhost",))
        with box, ScriptedProvider() as provider, httpx.Client(trust_env=False, timeout=TIMEOUT_SECONDS) as http:
            cluster = Cluster(box.url)
            try:
                found += Replay(box, cluster, provider, http, not profile.startswith("2."), part).run()
            finally:
                cluster.close()
    return found


def report(profile: str, compared: Iterable[Compared]) -> str:
    compared = list(compared)
    differing = [one for one in compared if one.differences]
    agree = len(compared) - len(differing)
    lines = [f"{profile}: {agree} of {len(compared)} recorded exchanges agree"]
    for one in differing:
        reason = reason_for(profile, one.name)
        lines.append(f"  {one.name}: {reason or 'NOT LISTED'}")
        lines += [] if reason else [f"      {line}" for line in one.differences]
    lines += [f"  {name}: listed, and agrees" for name in KNOWN.get(profile, {}) if name not in _names(differing)]
    return "\n".join(lines)


def _names(compared: Iterable[Compared]) -> set[str]:
    return {one.name for one in compared}


def main() -> int:
    unlisted = 0
    for profile in PROFILES:
        with tempfile.TemporaryDirectory() as folder:
            compared = play(profile, Path(folder))
        print(report(profile, compared))
        unlisted += sum(bool(one.differences) and reason_for(profile, one.name) is None for one in compared)
    return 1 if unlisted else 0


if __name__ == "__main__":
    sys.exit(main())
