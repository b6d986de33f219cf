"""Registration: what is taken for ours among what the cluster finds. The way through is in tests/sandbox."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from opensearch_batch.cluster.ml_commons import Call, Hit
from opensearch_batch.cluster.registration import (
    deploy_left,
    ensure_connector,
    ensure_group,
    models_of,
    replace_connector,
)
from opensearch_batch.errors import BatchError, Refused, SpecError, Unavailable

GROUP_HITS = [
    Hit("group-2", {"name": "ours", "created_time": 2}),
    Hit("group-1", {"name": "ours", "created_time": 1}),
    Hit("group-0", {"name": "not ours", "created_time": 0}),
]


def answers(*values: Any) -> Callable[[Call], Any]:
    """One value a call, in order; an error is raised."""
    left = list(values)

    def send(call: Call) -> Any:
        value = left.pop(0)
        if isinstance(value, Exception):
            raise value
        return value

    return send


def test_models_of_a_connector_whose_id_only_looks_alike_are_not_ours() -> None:
    """The cluster matches words between hyphens: ids may share one."""
    ours, other = Hit("m1", {"connector_id": "Aa-IB-1"}), Hit("m2", {"connector_id": "Bb-IB-2"})
    assert models_of(answers([other, ours]), "Aa-IB-1") == [ours]


def test_the_oldest_group_of_exactly_this_name_counts() -> None:
    assert ensure_group(answers(GROUP_HITS), "ours") == "group-1"


def test_a_group_that_another_run_registered_meanwhile_is_used() -> None:
    taken = Refused("The name you provided is already being used by a model group with ID: group-1.")
    assert ensure_group(answers([], taken, GROUP_HITS), "ours") == "group-1"


def test_a_group_that_exists_but_may_not_be_seen_is_explained() -> None:
    taken = Refused("The name you provided is already being used by a model group with ID: group-1.")
    with pytest.raises(
        SpecError, match=r"model group 'ours' exists, but this user may not see it\. .*model: {group: NAME}"
    ):
        ensure_group(answers([], taken, []), "ours")


def test_another_refusal_of_a_group_is_passed_on() -> None:
    refused = Refused("no permissions")
    with pytest.raises(Refused) as caught:
        ensure_group(answers([], refused), "ours")
    assert caught.value is refused


WANTED = {"name": "ours", "description": "new"}


def test_a_search_that_lags_behind_an_update_is_not_believed() -> None:
    lagging = Hit("c1", {"name": "ours", "description": "old", "created_time": 1})
    found = ensure_connector(answers([lagging], {"description": "new"}), WANTED, {}, on_change="error")
    assert found == "c1"


def test_of_groups_made_at_once_the_oldest_counts_and_ours_is_removed() -> None:
    sent: list[str] = []
    replies = answers([], "group-2", GROUP_HITS, {})

    def send(call: Call) -> Any:
        sent.append(call.name)
        return replies(call)

    assert ensure_group(send, "ours") == "group-1"
    assert sent[-1] == "delete model group group-2"


def test_a_twin_that_cannot_be_removed_is_only_left_over() -> None:
    assert ensure_group(answers([], "group-2", GROUP_HITS, Refused("no permissions")), "ours") == "group-1"


def test_a_group_that_the_search_does_not_show_yet_is_ours_all_the_same() -> None:
    assert ensure_group(answers([], "group-3", []), "ours") == "group-3"


def test_an_update_waits_until_the_cluster_sees_its_models_undeployed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda seconds: None)
    busy = Refused("1 models are still using this connector, please undeploy the models first: [m1]")
    model = Hit("m1", {"connector_id": "c1"})
    replies = [{"parameters": {}}, [model], {"model_state": "DEPLOYED"}, {}, busy, busy, {}, {}]
    cluster = answers(*replies, {"model_state": "DEPLOYED"})
    sent: list[str] = []

    def send(call: Call) -> Any:
        sent.append(call.name)
        return cluster(call)

    replace_connector(send, "c1", {"parameters": {}})
    assert sent.count("update connector c1") == 3
    assert sent[-2:] == ["deploy model m1", "get model m1"]


class Killed(BaseException):
    """The worker is gone: nothing that it would do later is done."""


class Lost(Unavailable):
    """The call did what it should, and its answer did not come."""


AFTER = {"deploy": "DEPLOYED", "undeploy": "UNDEPLOYED"}


class Cluster:
    """A connector with two models that answer searches. Calls of these names end in an error; after so many the worker
    is killed.
    """

    def __init__(self, errors: dict[str, BatchError] | None = None, killed_after: int = 100) -> None:
        self.states = {"m1": "DEPLOYED", "m2": "DEPLOYED"}
        self._errors, self.left = errors or {}, killed_after

    def send(self, call: Call) -> Any:
        self.left -= 1
        if self.left < 0:
            raise Killed
        error = self._errors.get(call.name)
        if error and not isinstance(error, Lost):
            raise error
        if call.name == "search models":
            return [Hit(model_id, {"connector_id": "c1"}) for model_id in self.states]
        act, _, model_id = call.name.partition(" model ")
        if act in AFTER:
            self.states[model_id] = AFTER[act]
        if error:
            raise error
        return {"parameters": {}, "model_state": self.states.get(model_id)}


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("undeploy model m1", Lost("no answer")),
        ("undeploy model m2", Unavailable("HTTP 503")),
        ("undeploy model m2", Refused("no permissions")),
        ("update connector c1", Refused("no permissions")),
    ],
    ids=["lost", "busy", "refused", "update refused"],
)
def test_whatever_fails_of_a_redeployment_its_models_answer_searches_again(call: str, error: BatchError) -> None:
    cluster = Cluster({call: error})
    with pytest.raises(type(error)):
        replace_connector(cluster.send, "c1", {"parameters": {}})
    assert cluster.states == {"m1": "DEPLOYED", "m2": "DEPLOYED"}


def test_a_model_that_cannot_be_deployed_again_keeps_no_other_from_it() -> None:
    cluster = Cluster({"deploy model m1": Unavailable("no room on m1")})
    with pytest.raises(Unavailable, match="no room on m1"):
        replace_connector(cluster.send, "c1", {"parameters": {}})
    assert cluster.states == {"m1": "UNDEPLOYED", "m2": "DEPLOYED"}


@pytest.mark.parametrize("calls", range(11))
def test_what_a_killed_try_has_undeployed_the_next_deploys(calls: int) -> None:
    """Killed after any of its calls; the connector may be as it should be by then, and is not updated again."""
    cluster, noted = Cluster(killed_after=calls), list[list[str]]([[]])
    with pytest.raises(Killed):
        replace_connector(cluster.send, "c1", {"parameters": {}}, noted.append)
    cluster.left = 100
    deploy_left(cluster.send, noted[-1])
    assert cluster.states == {"m1": "DEPLOYED", "m2": "DEPLOYED"}


def test_a_redeployment_that_came_to_its_end_leaves_nothing_to_the_next_try() -> None:
    noted: list[list[str]] = []
    replace_connector(Cluster().send, "c1", {"parameters": {}}, noted.append)
    assert noted == [["m1", "m2"], []]
