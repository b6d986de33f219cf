"""Models that a real server gives an interface of its own, by which it judges what is sent and what is answered."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from airflow.sdk.exceptions import AirflowFailException

from opensearch_batch.cluster import ml_commons
from tests.sandbox.bench import Server, rows_of
from tests.vendors.test_stragglers import of_texts
from tests.vendors.vendors import BEDROCK, Scene, make_scene

if TYPE_CHECKING:
    from opensearch_batch.cluster.ml_commons import Call
    from tests.real.by_hand import Use
    from tests.real.cluster import Cluster
    from tests.real.provider import Provider
    from tests.sandbox.bench import Run

ROWS = 120
CLAUDE = of_texts(BEDROCK, "anthropic.claude-3-sonnet-20240229-v1:0", parameters={"max_tokens": 50})
TITAN = of_texts(BEDROCK, "amazon.titan-embed-text-v1", parameters={})


@pytest.fixture(params=[CLAUDE, TITAN], ids=lambda vendor: vendor.model["name"])
def scene(
    request: pytest.FixtureRequest,
    cluster: Cluster,
    provider: Provider,
    use: Use,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> Scene:
    use(cluster.url)
    run.run_id = f"manual__{uuid4()}"
    return make_scene(request.param, Server(provider.url), run, monkeypatch)


def test_a_batch_is_not_judged_by_an_interface_for_online_answers(scene: Scene) -> None:
    (job,) = scene.submit(scene.ready(rows_of(ROWS)))
    assert job["task_id"]
    assert scene.report(scene.fetch(scene.wait([job])))["answered"] == ROWS
    assert len(scene.vendor.jobs(scene.server)) == 1


def test_a_model_of_an_earlier_version_pays_once_and_its_error_has_the_line_that_mends_it(
    scene: Scene, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    register = ml_commons.register_model

    def without_interface(*names: str, deploy: bool) -> Call:
        call = register(*names, deploy=deploy)
        body: dict[str, Any] = dict(call.body or {})
        del body["interface"]
        return replace(call, body=body)

    monkeypatch.setattr(ml_commons, "register_model", without_interface)
    bundles = scene.ready(rows_of(ROWS))
    if cluster.node.version == "2.19.6":
        with pytest.raises(AirflowFailException, match="Error validating input schema") as refused:
            scene.submit(bundles)
        assert scene.vendor.jobs(scene.server) == []
        path, interface = re.search(r"PUT (\S+) (\{.*?\}\})", str(refused.value)).groups()  # type: ignore[union-attr]
        cluster.ok("PUT", path, json.loads(interface))
    (job,) = scene.submit(bundles)
    assert scene.report(scene.fetch(scene.wait([job])))["answered"] == ROWS
    assert len(scene.vendor.jobs(scene.server)) == 1
