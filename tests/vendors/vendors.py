"""The vendors beside OpenAI, each as its user sets it up: a spec, connections, what lies on the vendor's side."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3

from opensearch_batch.operators import (
    CreateConnectorOperator,
    FetchOutputOperator,
    PrepareInputOperator,
    PrepareRepairOperator,
    RegisterModelOperator,
    ReportOperator,
    SubmitBatchOperator,
)
from tests.sandbox.bench import Run, Server

if TYPE_CHECKING:
    import pytest

REGION = "us-east-1"
BUCKET = "corpus"
KEYS = {"aws_access_key_id": "AKIASANDBOX", "aws_secret_access_key": "sandbox-secret-key"}
"""What the sandbox takes: no secret."""


def aws(server: Server, service: str) -> Any:
    return boto3.client(service, endpoint_url=f"{server.url}/aws", region_name=REGION, **KEYS)


def aws_connection(server: Server, **extra: str) -> str:
    """The amazon provider asks STS at an address of its own."""
    url = f"{server.url}/aws"
    said = {"region_name": REGION, "endpoint_url": url, "service_config": {"sts": {"endpoint_url": url}}, **extra}
    keys = {"login": KEYS["aws_access_key_id"], "password": KEYS["aws_secret_access_key"]}
    return json.dumps({"conn_type": "aws", **keys, "extra": said})


def _make_bucket(server: Server) -> None:
    aws(server, "s3").create_bucket(Bucket=BUCKET)


def _make_model(server: Server) -> None:
    _make_bucket(server)
    aws(server, "sagemaker").create_model(
        ModelName="stdlib-embedding",
        ExecutionRoleArn="arn:aws:iam::123456789012:role/transform",
        PrimaryContainer={"Image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/embedding:1"},
    )


@dataclass(frozen=True)
class Vendor:
    """`create` (a regular expression), `look` and `stop` are parts of the paths that make, show and end a job.

    `face` is the vendor whose face of the sandbox it is run against, its own unless said otherwise; `wrong_key` is what
    that face refuses.
    """

    name: str
    model: dict[str, Any]
    set_up: Callable[[Server], None]
    create: str
    look: str
    stop: str
    connections: Callable[[Server], dict[str, str]]
    limits: dict[str, Any] = field(default_factory=dict)
    face: str = ""
    wrong_key: str = "co-wrong"

    def spec(self, run: Run, uri: str, **limits: Any) -> dict[str, Any]:
        return {
            "name": "by_hand",
            "model": {"provider": self.name, **self.model},
            "input": {"uri": uri},
            "output": {"uri": f"file://{run.out}"},
            "work_uri": f"file://{run.folder}/work",
            "limits": {**self.limits, **limits},
            "wait": {"poll_seconds": 0.05},
        }

    def jobs(self, server: Server) -> list[dict[str, Any]]:
        """Those that would have been billed."""
        return [job for job in server.ledger if job.get("provider", "openai") == (self.face or self.name)]


SAGEMAKER = Vendor(
    "sagemaker",
    {
        "name": "stdlib-embedding",
        "job": {"files_uri": f"s3://{BUCKET}/jobs", "instance_type": "ml.m5.large", "rows_per_file": 20},
    },
    _make_model,
    "CreateTransformJob",
    "DescribeTransformJob",
    "StopTransformJob",
    lambda server: {"AIRFLOW_CONN_AWS_DEFAULT": aws_connection(server)},
)
BEDROCK = Vendor(
    "bedrock",
    {
        "name": "amazon.titan-embed-text-v2:0",
        "parameters": {"dimensions": 256},
        "job": {"files_uri": f"s3://{BUCKET}/jobs", "role_arn": "arn:aws:iam::123456789012:role/batch"},
    },
    _make_bucket,
    "model-invocation-job$",
    "model-invocation-job/",
    "/stop",
    lambda server: {"AIRFLOW_CONN_AWS_DEFAULT": aws_connection(server)},
)
COHERE = Vendor(
    "cohere",
    {"name": "embed-english-v3.0"},
    lambda server: None,
    "/v1/embed-jobs$",
    "/v1/embed-jobs/",
    "/cancel",
    lambda server: {
        "AIRFLOW_CONN_COHERE_DEFAULT": json.dumps({"conn_type": "http", "host": server.url, "password": "co-fake-key"})
    },
)
VENDORS = (SAGEMAKER, BEDROCK, COHERE)


@dataclass
class Scene:
    """One run of one vendor's spec, task by task, as batch_inference wires them."""

    vendor: Vendor
    server: Server
    run: Run
    spec: dict[str, Any] = field(default_factory=dict)
    model_id: str = ""

    def prepare(self, rows: Iterable[dict[str, Any]], **limits: Any) -> Any:
        self.spec = self.vendor.spec(self.run, self.run.write(rows), **limits)
        return self.run.execute(PrepareInputOperator(task_id="prepare", spec=self.spec))

    def register(self, **settings: Any) -> str:
        connector = CreateConnectorOperator(task_id="connector", spec=self.spec, **settings)
        connector_id = self.run.execute(connector)
        model = RegisterModelOperator(task_id="model", spec=self.spec, connector_id=connector_id)
        self.model_id = self.run.execute(model)
        return self.model_id

    def submitting(self, shards: Any, task_id: str = "submit", **settings: Any) -> SubmitBatchOperator:
        given = {"model_id": self.model_id, "shards": shards, "settle_seconds": 1.0, **settings}
        return SubmitBatchOperator(task_id=task_id, spec=self.spec, **given)

    def submit(self, shards: Any, task_id: str = "submit", **settings: Any) -> Any:
        return self.run.execute(self.submitting(shards, task_id, **settings))

    def wait(self, jobs: Any) -> Any:
        return self.run.wait(jobs, spec=self.spec)

    def fetch(self, outcomes: Any, task_id: str = "fetch", **settings: Any) -> Any:
        given = {"outcomes": outcomes, "final": False, **settings}
        return self.run.execute(FetchOutputOperator(task_id=task_id, spec=self.spec, **given))

    def report(self, *landed: Any, repaired_by: tuple[str, ...] = ()) -> Any:
        return self.run.execute(
            ReportOperator(task_id="report", planned_by="prepare", landed=list(landed), repaired_by=repaired_by)
        )

    def repair(self, fetched: Any) -> Any:
        return self.run.execute(PrepareRepairOperator(task_id="repair", spec=self.spec, landed=[fetched]))

    def ready(self, rows: Iterable[dict[str, Any]], **limits: Any) -> Any:
        """Bundles, with the model registered."""
        bundles = self.prepare(rows, **limits)
        self.register()
        return bundles

    def through(self, rows: Iterable[dict[str, Any]], **limits: Any) -> Any:
        return self.report(self.fetch(self.wait(self.submit(self.ready(rows, **limits)))))


def make_scene(vendor: Vendor, server: Server, run: Run, monkeypatch: pytest.MonkeyPatch) -> Scene:
    for name, value in vendor.connections(server).items():
        monkeypatch.setenv(name, value)
    vendor.set_up(server)
    return Scene(vendor, server, run)
