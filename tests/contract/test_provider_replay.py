"""Recorded exchanges about SageMaker, Bedrock and Cohere connectors: what the cluster sends, and what it makes of it.

The provider answers what the recorded job shows: that is all there was to answer.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from starlette.requests import Request

from sandbox.aws_face import signature
from sandbox.aws_face.caller import AWSError
from sandbox.aws_face.keys import Key
from sandbox.server import Sandbox
from tests.contract.cluster import Cluster
from tests.contract.play import TRUSTED, wait_until_deployed
from tests.contract.recordings import Exchange, differences, load
from tests.contract.replay import Replay
from tests.contract.scripted_provider import Answer, ScriptedProvider

if TYPE_CHECKING:
    from pathlib import Path

PROFILES = ("2.19.6", "3.6.0")
RECORDED_KEY = Key("AKIAEXAMPLE", "secretexample", "tokenexample")
# What the cluster adds to a job.
ADDED = ("dlq", "processedJobArn")


class Told(ScriptedProvider):
    """Answers what it is told, and keeps every header."""

    next = Answer()

    def answer(self, method: str, path: str, raw: str) -> Answer:
        return self.next

    def _note(self, method: str, path: str, headers: dict[str, str], raw: str) -> None:
        self._seen.append({"method": method, "path": path, "headers": headers, "body": raw})


def job_in(answer: Any) -> dict[str, Any]:
    job = answer.get("remote_job") or {} if isinstance(answer, dict) else {}
    return {name: value for name, value in job.items() if name not in ADDED}


def comparable(seen: dict[str, Any]) -> dict[str, Any]:
    """Without what depends on the moment, the address or the order of names; the length is that of the body."""
    headers = {name: value for name, value in seen["headers"].items() if name.startswith(("x-amz-", "content-type"))}
    for name in ("x-amz-date", "x-amz-content-sha256"):
        if name in headers:
            headers[name] = "there"
    authorization = seen["headers"]["authorization"]
    headers["authorization"] = re.sub(r"/\d{8}/|Signature=\w+", "", authorization)
    return {**seen, "headers": headers}


@pytest.mark.parametrize("profile", PROFILES)
def test_each_exchange_agrees(profile: str, tmp_path: Path) -> None:
    exchanges = load(f"{profile}-providers")
    assert len(exchanges) == 41
    found: dict[str, list[str]] = {}
    box = Sandbox(tmp_path, profile=profile, private_ip="refuse", public_names=("localhost",))
    with box, Told() as provider, httpx.Client(trust_env=False, timeout=30) as http:
        replay = Replay(box, Cluster(box.url), provider, http, not profile.startswith("2."), exchanges)
        TRUSTED(replay)
        for exchange in exchanges:
            if lines := step(replay, provider, exchange):
                found[exchange.name] = lines
        replay.cluster.close()
    assert found == {}


def step(replay: Replay, provider: Told, exchange: Exchange) -> list[str]:
    wait_until_deployed(replay)
    provider.seen()
    provider.next = Answer(body=job_in(exchange.answer))
    status, answer = replay.call(exchange)
    lines = [] if status == exchange.status else [f"status: {exchange.status}, here {status}"]
    lines += differences(exchange.answer, answer, replay.ids)
    seen = provider.seen()
    for call in seen:
        claimed = call["headers"].get("x-amz-content-sha256")
        assert claimed in (None, hashlib.sha256(call["body"].encode()).hexdigest())
    recorded = [comparable(call) for call in exchange.provider_saw]
    lines += differences(recorded, [comparable(call) for call in seen], replay.ids, "provider saw")
    if status == 200 and "deploy=true" in exchange.path:
        replay.deploying.append(answer["model_id"])
    return lines


def recorded_calls() -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{profile} {exchange.name}", call)
        for profile in PROFILES
        for exchange in load(f"{profile}-providers")
        for call in exchange.provider_saw
        if call["headers"]["authorization"].startswith(signature.ALGORITHM)
    ]


def as_request(call: dict[str, Any]) -> Request:
    headers = [(name.encode(), value.encode()) for name, value in call["headers"].items()]
    raw = call["path"].encode()
    return Request(
        {
            "type": "http",
            "method": call["method"],
            "path": call["path"],
            "raw_path": raw,
            "query_string": b"",
            "headers": headers,
        }
    )


@pytest.mark.parametrize(("name", "call"), recorded_calls(), ids=[name for name, _ in recorded_calls()])
def test_the_signatures_of_real_servers_are_found_right(name: str, call: dict[str, Any]) -> None:
    """They were made by Amazon's signer for Java; changing the body or the secret makes them wrong."""
    request, body = as_request(call), call["body"].encode()
    signed = signature.read(request)
    assert signed is not None
    signature.check(request, body, signed, RECORDED_KEY)
    for other_body, secret in ((body + b" ", RECORDED_KEY.secret_key), (body, "another")):
        with pytest.raises(AWSError, match="InvalidSignatureException"):
            signature.check(request, other_body, signed, Key("AKIAEXAMPLE", secret, "tokenexample"))


def test_the_recordings_hold_no_key_that_is_not_made_up() -> None:
    for profile in PROFILES:
        for exchange in load(f"{profile}-providers"):
            text = json.dumps([exchange.body, exchange.provider_saw])
            assert set(re.findall(r"AKIA\w+", text)) <= {RECORDED_KEY.access_key}
