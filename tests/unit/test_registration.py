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
)
from opensearch_batch.errors import Refused, SpecError

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
