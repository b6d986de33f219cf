from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from opensearch_batch.cluster.deployment import wait_deployed
from opensearch_batch.cluster.ml_commons import Call
from opensearch_batch.errors import Refused, Unavailable


def states(*found: str) -> Callable[[Call], Any]:
    """What each look at the model finds, one after the other."""
    left = iter(found)
    return lambda call: {"model_state": next(left)}


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
