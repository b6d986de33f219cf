"""A change of model through a real Airflow: the alias moves, moves on without a bill, stays where the gate is shut, and
goes back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from stack.run import DagRun
from tests.e2e.test_runs import states
from tests.index.bench import FIELDS, Cluster, Index, articles
from tests.index.beside import behind, lead
from tests.patience import eventually

if TYPE_CHECKING:
    from stack.stack import Stack

pytestmark = pytest.mark.e2e
ALIAS = "changing"


REFUSED = {"error": {"message": "this model has no online endpoint", "type": "invalid_request_error"}}


def ended(stack: Stack, dag: str, state: str = "success") -> DagRun:
    run = DagRun.trigger(stack, dag)
    eventually("the run", lambda: run.state() in ("success", "failed"), run.progress)
    assert run.state() == state, states(run)
    return run


def test_the_alias_moves_on_and_goes_back(stack: Stack) -> None:
    with httpx.Client(base_url=stack.sandbox_url, trust_env=False, timeout=30) as client:
        cluster = Cluster(client, "2.19.6")
        plain = cluster.index("changing-plain", fields={"title": FIELDS["title"], "body": FIELDS["body"]}, knn=False)
        plain.add(articles(20))
        lead(cluster, ALIAS, plain)
        first = ended(stack, "changing")
        report = first.xcom("report")
        made = Index(cluster, report["swapped"]["index"])
        assert (behind(cluster, ALIAS), report["written"]["written"]) == ({made.name}, 20)
        assert (report["parity"]["compared"], report["parity"]["below"]) == (20, 0)
        assert made.vectors == set(plain.hits)
        assert {len(hit["_source"]["vector"]) for hit in made.hits.values()} == {16}

        second = ended(stack, "changing")
        report = second.xcom("report")
        assert (report["reused"], report["jobs"], report["swapped"]["kept"]) == (20, [], made.name)
        assert report["swapped"]["older"] == [plain.name]
        assert states(second)["create_connector", -1] == "skipped"
        assert behind(cluster, ALIAS) == {report["swapped"]["index"]}

        cluster.ok("POST", "/_sandbox/faults", {
            "fault": "answer", "path": "/v1/embeddings", "status": 404, "body": REFUSED, "times": -1,
        })  # fmt: skip
        leads_to = behind(cluster, ALIAS)
        third = ended(stack, "changing", "failed")
        cluster.ok("DELETE", "/_sandbox/faults")
        found = states(third)
        assert (found["check_parity", -1], found["swap_alias", -1]) == ("failed", "upstream_failed")
        assert third.xcom("check_parity", "parity")["compared"] == 0
        assert behind(cluster, ALIAS) == leads_to

        back = ended(stack, "changing_back")
        assert behind(cluster, ALIAS) == {made.name} == {back.xcom("rollback")["index"]}
