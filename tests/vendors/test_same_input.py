"""With limits.same_input: refuse a second run over the same data pays at no vendor, unless the conf has the word."""

from __future__ import annotations

import pytest
from airflow.sdk.exceptions import AirflowFailException

from tests.sandbox.bench import Run, Server, rows_of
from tests.vendors.vendors import Scene


def test_the_same_rows_are_paid_again_only_with_the_word(scene: Scene, server: Server) -> None:
    (job,) = scene.submit(scene.ready(rows_of(120), same_input="refuse"))
    scene.run = Run(scene.run.folder, "manual__again")
    with pytest.raises(AirflowFailException, match=f"PaidBefore: 1 of 1 .* job {job['provider_job_id']}"):
        scene.prepare(rows_of(120), same_input="refuse")
    assert len(scene.vendor.jobs(server)) == 1
    scene.run.conf = {"force_resubmit": True}
    scene.submit(scene.prepare(rows_of(120), same_input="refuse"))
    assert len(scene.vendor.jobs(server)) == 2
