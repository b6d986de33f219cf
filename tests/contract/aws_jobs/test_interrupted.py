"""Jobs that are killed with the sandbox, stopped in their middle, or large."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.contract.aws_jobs.cloud import BUCKET, Cloud, records, texts
from tests.contract.test_restart import free_port, start_sandbox
from tests.patience import until

if TYPE_CHECKING:
    from pathlib import Path

ROWS = 16_000
LARGE_ROWS = 24_000
# With these the caches of a first job are full. The outputs of the others are several times the growth allowed.
FIRST_ROWS = 8_000
GROWTH_BYTES = 24 * 2**20


def underway(cloud: Cloud) -> bool:
    done: int = cloud.ledger()[0]["requests"]
    return 0 < done < ROWS


@pytest.mark.parametrize("service", ["sagemaker", "bedrock"])
def test_a_job_killed_in_the_middle_is_whole_after_a_restart(tmp_path: Path, service: str) -> None:
    port = free_port()
    first = start_sandbox(port, tmp_path)
    cloud = Cloud(f"http://127.0.0.1:{port}")
    try:
        cloud.prepare()
        if service == "sagemaker":
            cloud.put("in/a.jsonl", texts(ROWS // 2))
            cloud.put("in/b.jsonl", texts(ROWS // 2))
            name = cloud.transform()
        else:
            cloud.put("in/a.jsonl", records(ROWS // 2))
            cloud.put("in/b.jsonl", records(ROWS // 2))
            name = cloud.invocation()
        until(lambda: underway(cloud), bool)
    finally:
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
    second = start_sandbox(port, tmp_path)
    try:
        if service == "sagemaker":
            assert cloud.transformed(name)["TransformJobStatus"] == "Completed"
            keys = ["out/a.jsonl.out", "out/b.jsonl.out"]
            ids = [row["id"] for key in keys for row in cloud.lines(key)]
            assert ids == [row["id"] for row in texts(ROWS // 2)] * 2
        else:
            assert cloud.invoked(name)["successRecordCount"] == ROWS
            ids = [row["recordId"] for part in "ab" for row in cloud.output(name, f"{part}.jsonl.out")]
            assert sorted(ids) == sorted(row["recordId"] for row in records(ROWS // 2) * 2)
        assert [entry["requests"] for entry in cloud.ledger()] == [ROWS]
        assert list((tmp_path / "work").iterdir()) == []
    finally:
        second.terminate()
        second.wait()
        cloud.close()


def test_a_transform_job_stopped_in_its_middle_leaves_nothing(cloud: Cloud) -> None:
    cloud.put("in/a.jsonl", texts(ROWS // 2))
    cloud.put("in/b.jsonl", texts(ROWS // 2))
    name = cloud.transform()
    until(lambda: underway(cloud), bool)
    cloud.sagemaker.stop_transform_job(TransformJobName=name)
    assert cloud.transformed(name)["TransformJobStatus"] == "Stopped"
    cloud.put("in2/c.jsonl", texts(1))
    # The worker is free again: the next job runs.
    source = {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/in2/"}}}
    settings = {"ContentType": "application/json", "SplitType": "Line"}
    assert cloud.transformed(cloud.transform(TransformInput=source | settings))["TransformJobStatus"] == "Completed"
    assert cloud.keys("out/") == ["out/c.jsonl.out"]


def test_an_invocation_job_stopped_in_its_middle_keeps_a_part(cloud: Cloud) -> None:
    cloud.put("in/a.jsonl", records(ROWS))
    arn = cloud.invocation()
    until(lambda: cloud.seen(arn).get("processedRecordCount", 0), bool)
    cloud.bedrock.stop_model_invocation_job(jobIdentifier=arn)
    job = cloud.invoked(arn)
    assert job["status"] == "Stopped"
    assert len(cloud.output(arn)) == job["processedRecordCount"] == ROWS // 2


@pytest.mark.parametrize("service", ["sagemaker", "bedrock"])
def test_memory_does_not_grow_with_the_rows(tmp_path: Path, service: str) -> None:
    port = free_port()
    process = start_sandbox(port, tmp_path)
    cloud = Cloud(f"http://127.0.0.1:{port}")

    def run(rows: int) -> int:
        """The most bytes that were ever resident, once it is done."""
        if service == "sagemaker":
            cloud.put("in/a.jsonl", texts(rows))
            cloud.transformed(cloud.transform())
        else:
            cloud.put("in/a.jsonl", records(rows))
            cloud.invoked(cloud.invocation())
        with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))

    try:
        cloud.prepare()
        before = run(FIRST_ROWS)
        assert run(LARGE_ROWS) - before < GROWTH_BYTES
    finally:
        process.terminate()
        process.wait()
        cloud.close()
