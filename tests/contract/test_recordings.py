"""What counts as agreeing with a recorded exchange: a comparison that forgives too much would prove nothing."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.contract.recordings import FOLDER, Ids, differences

OTHER, MINE, THIRD = "Q_cIBKIBven5fhw777k9", "aB3dE6gH9jK2mN5pQ8sT", "Zz3dE6gH9jK2mN5pQ8sT"


@pytest.mark.parametrize(
    ("recorded", "ours"),
    [
        ({"task_id": OTHER}, {"task_id": MINE}),
        ([{"_id": OTHER}, f"Failed: {OTHER}"], [{"_id": MINE}, f"Failed: {MINE}"]),
        ({"create_time": 1, "_seq_no": 4, "max_score": 4.6}, {"create_time": 2, "_seq_no": 5, "max_score": 1.0}),
        ("Connection refused: /198.51.100.10:9", "Connection refused: /localhost:9"),
        ({"body": '{ "a": 1, "b": "x\\/y" }'}, {"body": '{ "b": "x\\/y", "a": 1 }'}),
        ({"tagline": "t", "name": "node-0"}, {"tagline": "t", "name": "sandbox"}),
    ],
)
def test_what_is_masked(recorded: Any, ours: Any) -> None:
    assert list(differences(recorded, ours, Ids())) == []


@pytest.mark.parametrize(
    ("recorded", "ours"),
    [
        ({"a": 1}, {"a": 1.0}),
        ({"a": None}, {}),
        ({}, {"a": None}),
        ([1], [1, 2]),
        ([OTHER, OTHER], [MINE, THIRD]),
        ({"max_score": None}, {"max_score": 0.0}),
        ({"create_time": 1}, {"create_time": "1"}),
        ({"name": "a"}, {"name": "b"}),
        ({"state": "RUNNING"}, {"state": "FAILED"}),
        ({"type": "unknown_host_exception"}, {"type": "m_l_resource_exception"}),
        ({"body": '{ "a": "x\\/y" }'}, {"body": '{ "a": "x/y" }'}),
        ("No such task", "no such task"),
    ],
)
def test_what_is_not(recorded: Any, ours: Any) -> None:
    assert len(list(differences(recorded, ours, Ids()))) == 1


def test_the_recordings_hold_no_key_and_no_path_of_a_machine() -> None:
    for path in sorted(FOLDER.glob("*.jsonl")):
        text = path.read_text()
        keys = set(re.findall(r"(?:Bearer |\"(?:openAI|cohere)_key\":\"|\"secret_key\":\")([^\"]+)\"", text))
        made_up = {"sk-secret-1", "sk-secret-2", "co-secret", "secretexample"}
        assert keys <= made_up | {"${credential.openAI_key}", "${credential.cohere_key}"}, path
        assert re.findall(r"/(?:home|root|tmp|work|Users)/|AKIA[0-9A-Z]{16}|Basic [A-Za-z0-9+/=]{8}", text) == [], path
        for line in text.splitlines():
            assert set(json.loads(line)) >= {"name", "request", "response"}
