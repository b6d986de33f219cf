"""Registration: what is taken for ours among what the cluster finds. The way through is in tests/sandbox."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from opensearch_batch.cluster.ml_commons import Call, Hit
from opensearch_batch.cluster.registration import (
    ensure_connector,
    ensure_group,
    models_of,
    replace_connector,
    wait_deployed,
)
from opensearch_batch.errors import Refused, SpecError, Unavailable

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


def states(*found: str) -> Callable[[Call], Any]:
    return answers(*({"model_state": state} for state in found))


def test_a_model_is_waited_for_until_it_serves() -> None:
    slept: list[float] = []
    wait_deployed(states("REGISTERED", "DEPLOYING", "PARTIALLY_DEPLOYED", "DEPLOYED"), "m", sleep=slept.append)
    assert slept == [0.5, 0.5, 0.5]


class Nodes:
    """A model that stays as it is until it was deployed `heals_after` times."""

    def __init__(self, heals_after: int, idle: str = "PARTIALLY_DEPLOYED") -> None:
        self.heals_after, self.idle, self.sent = heals_after, idle, [""]

    def send(self, call: Call) -> Any:
        self.sent.append(call.name)
        if call.name == "deploy model m":
            return {"task_id": "t"}
        if call.name == "get task t":
            return {"state": "FAILED", "error": '{"node-0":"Fetching master key timed out."}'}
        healed = self.sent.count("deploy model m") >= self.heals_after
        return {"model_state": "DEPLOYED" if healed else self.idle}


@pytest.mark.parametrize("idle", ["PARTIALLY_DEPLOYED", "REGISTERED", "UNDEPLOYED"])
def test_a_model_that_stays_as_it_is_is_deployed_once_more(idle: str) -> None:
    nodes = Nodes(heals_after=1, idle=idle)
    wait_deployed(nodes.send, "m", sleep=lambda seconds: None)
    assert nodes.sent[-2:] == ["deploy model m", "get model m"]


def test_a_model_of_this_run_is_undeployed_before_it_is_deployed_again() -> None:
    """A node that failed to load it takes a plain _deploy for a duplicate."""
    nodes = Nodes(heals_after=2)
    wait_deployed(nodes.send, "m", ours=True, sleep=lambda seconds: None)
    assert [name for name in nodes.sent if name and name != "get model m"] == ["undeploy model m", "deploy model m"] * 2


def test_a_model_of_others_is_never_undeployed_to_heal_it() -> None:
    nodes = Nodes(heals_after=2)
    wait_deployed(nodes.send, "m", sleep=lambda seconds: None)
    assert "undeploy model m" not in nodes.sent


def test_a_model_that_stays_partly_deployed_is_used_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    nodes = Nodes(heals_after=2)
    wait_deployed(nodes.send, "m", sleep=lambda seconds: None)
    assert nodes.sent.count("deploy model m") == 1
    assert "model m was PARTIALLY_DEPLOYED, so it was deployed once more" in caplog.text


def test_a_model_that_may_not_be_deployed_again_is_used_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    def send(call: Call) -> Any:
        if call.name == "deploy model m":
            raise Refused("no permissions for [cluster:admin/opensearch/ml/deploy_model]")
        return {"model_state": "PARTIALLY_DEPLOYED"}

    wait_deployed(send, "m", sleep=lambda seconds: None)
    assert "deploying it once more failed: no permissions for" in caplog.text


def test_a_failed_deployment_is_repeated_after_the_model_is_undeployed(caplog: pytest.LogCaptureFixture) -> None:
    """A node that failed to load the model takes a plain _deploy for a duplicate, whoever made the model."""
    nodes = Nodes(heals_after=3, idle="DEPLOY_FAILED")
    wait_deployed(nodes.send, "m", sleep=lambda seconds: None)
    assert [name for name in nodes.sent if name and name != "get model m"] == ["undeploy model m", "deploy model m"] * 3
    assert "model m was DEPLOY_FAILED, so it was deployed once more" in caplog.text


def test_a_failed_deployment_is_repeated_by_a_user_who_may_not_undeploy() -> None:
    nodes = Nodes(heals_after=1, idle="DEPLOY_FAILED")

    def send(call: Call) -> Any:
        if call.name == "undeploy model m":
            raise Refused("no permissions for [cluster:admin/opensearch/ml/undeploy_model]")
        return nodes.send(call)

    wait_deployed(send, "m", sleep=lambda seconds: None)
    assert nodes.sent.count("deploy model m") == 1


def test_a_deployment_that_stays_failed_and_a_slow_one_are_tried_again_later() -> None:
    nodes = Nodes(heals_after=4, idle="DEPLOY_FAILED")
    with pytest.raises(Unavailable, match="model m failed to deploy, also when repeated: .*Fetching master key"):
        wait_deployed(nodes.send, "m", sleep=lambda seconds: None)
    assert nodes.sent.count("deploy model m") == 3
    with pytest.raises(Unavailable, match="model m is still DEPLOYING after 1 s"):
        wait_deployed(states("DEPLOYING", "DEPLOYING"), "m", tries=2, sleep=lambda seconds: None)


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
