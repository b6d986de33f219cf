"""What a clear means where requests name no model: the table in docs/explanation/acts.md."""

from __future__ import annotations

from opensearch_batch import providers
from tests.sandbox.bench import Server, rows_of
from tests.vendors.vendors import Scene


def test_a_model_registered_anew_is_another_order(scene: Scene, server: Server) -> None:
    assert not providers.get(scene.vendor.name).MODEL_IN_LINES
    bundles = scene.ready(rows_of(120))
    (before,) = scene.submit(bundles)
    old, registered = scene.model_id, scene.spec["model"]
    scene.spec = scene.spec | {"model": registered | {"registered_as": "anew"}}
    assert scene.register() != old
    (after,) = scene.submit(bundles)
    assert after["provider_job_id"] != before["provider_job_id"]
    assert len(scene.vendor.jobs(server)) == 2
