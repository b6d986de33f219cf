"""A second run over the same data pays at no vendor: with limits.same_input: refuse it fails, unless the conf has the
word; with share it lands the first run's answers, and leaves the jobs to it.
"""

from __future__ import annotations

import asyncio

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from tests.sandbox.bench import Run, Server, rows_of, sensor
from tests.sandbox.test_promises import Killed
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


def test_the_first_runs_job_is_shared_and_costs_nothing(scene: Scene, server: Server) -> None:
    (job,) = scene.submit(scene.ready(rows_of(120), same_input="share"))
    server.pace("polls:1000")
    first, scene.run = scene.run, Run(scene.run.folder, "manual__again")
    (shared,) = taken = scene.submit(scene.prepare(rows_of(120), same_input="share"))
    assert shared["provider_job_id"] == job["provider_job_id"]
    with pytest.raises(TaskDeferred) as stop:
        scene.run.execute(sensor(taken, spec=scene.spec))
    trigger = Killed(**stop.value.trigger.serialize()[1])
    trigger.state = "failed"
    asyncio.run(trigger.on_kill())
    server.pace("instant")
    report = scene.report(scene.fetch(scene.wait(taken)))
    assert (report["answered"], report["actual_tokens"], report["instance_seconds"]) == (120, 0, 0.0)
    assert report["jobs"][0]["shared_with"] == f"by_hand/{first.run_id}"
    assert len(scene.vendor.jobs(server)) == 1
