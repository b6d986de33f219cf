"""With whom a connection shares what is made over it."""

from __future__ import annotations

from typing import Any

import pytest

from opensearch_batch.cluster import ml_commons
from opensearch_batch.cluster.hook import shared
from opensearch_batch.cluster.ml_commons import Call

TEAM: dict[str, Any] = {"backend_roles": ["batch_team"]}
ACCESS = {"access_mode": "restricted", "backend_roles": ["batch_team"]}


@pytest.mark.parametrize("call", [ml_commons.create_connector({"name": "a"}), ml_commons.register_group("a")])
def test_what_can_belong_to_someone_is_shared_with_the_connections_backend_roles(call: Call) -> None:
    assert shared(call, TEAM).body == {**(call.body or {}), **ACCESS}
    assert shared(call, {}) == call


@pytest.mark.parametrize(
    "call",
    [
        ml_commons.register_model("a", "connector", "group", deploy=True),
        ml_commons.batch_predict("model", {}),
        ml_commons.update_connector("connector", {"credential": {}}),
        ml_commons.get_task("task"),
    ],
)
def test_no_other_call_says_who_may_use_it(call: Call) -> None:
    assert shared(call, TEAM) == call


def test_a_body_that_says_itself_who_may_use_it_is_left_alone() -> None:
    call = ml_commons.create_connector({"name": "a", "access_mode": "public"})
    assert shared(call, TEAM) == call
