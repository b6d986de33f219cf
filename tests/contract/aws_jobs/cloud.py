"""The official AWS clients against a sandbox, and the steps that most tests of its jobs take with them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from sandbox.aws_face.keys import ACCESS_KEY, SECRET_KEY
from tests.contract.aws import REGION, client
from tests.patience import until

if TYPE_CHECKING:
    from collections.abc import Callable

BUCKET = "corpus"
MODEL = "embedder"
ROLE = "arn:aws:iam::123456789012:role/batch"
TITAN = "amazon.titan-embed-text-v2:0"
TRANSFORM_ENDS = ("Completed", "Failed", "Stopped")
INVOCATION_ENDS = ("Completed", "PartiallyCompleted", "Failed", "Stopped", "Expired")


class Cloud:
    """`region` is the clients' own: a job lives in the region it was made in."""

    def __init__(self, url: str, region: str = REGION) -> None:
        self.url, self.region = url, region
        self.s3 = client(url, "s3", region=region)
        self.sagemaker = client(url, "sagemaker", region=region)
        self.sagemaker_runtime = client(url, "sagemaker-runtime", region=region)
        self.bedrock = client(url, "bedrock", region=region)
        self.bedrock_runtime = client(url, "bedrock-runtime", region=region)

    def close(self) -> None:
        for made in (self.s3, self.sagemaker, self.sagemaker_runtime, self.bedrock, self.bedrock_runtime):
            made.close()

    def prepare(self) -> None:
        self.s3.create_bucket(Bucket=BUCKET)
        self.model(MODEL)
        self.order("min_records", count=1)

    def model(self, name: str, role: str = ROLE) -> None:
        image = "123456789012.dkr.ecr.us-east-1.amazonaws.com/embed:1"
        self.sagemaker.create_model(ModelName=name, PrimaryContainer={"Image": image}, ExecutionRoleArn=role)

    def order(self, fault: str, **params: Any) -> None:
        httpx.post(f"{self.url}/_sandbox/faults", json={"fault": fault, **params}).raise_for_status()

    def forget_faults(self) -> None:
        httpx.delete(f"{self.url}/_sandbox/faults").raise_for_status()

    def plain(
        self, service: str, path: str, body: dict[str, Any] | None = None, *, method: str = "POST"
    ) -> httpx.Response:
        """A signed call without an SDK, to a path as it is."""
        raw, url = b"" if body is None else json.dumps(body).encode(), f"{self.url}/aws/{path}"
        request = AWSRequest(method, url, headers={"content-type": "application/json"}, data=raw)
        SigV4Auth(Credentials(ACCESS_KEY, SECRET_KEY), service, self.region).add_auth(request)
        return httpx.request(method, url, headers=dict(request.headers), content=raw)

    def pace(self, pace: str) -> None:
        httpx.post(f"{self.url}/_sandbox/pace", json={"pace": pace}).raise_for_status()

    def ledger(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = httpx.get(f"{self.url}/_sandbox/ledger").raise_for_status().json()
        return found

    def put(self, key: str, content: bytes | list[dict[str, Any]]) -> None:
        raw = content if isinstance(content, bytes) else b"".join(json.dumps(line).encode() + b"\n" for line in content)
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=raw)

    def get(self, key: str) -> bytes:
        found: bytes = self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return found

    def lines(self, key: str) -> list[Any]:
        return [json.loads(line) for line in self.get(key).splitlines()]

    def keys(self, prefix: str) -> list[str]:
        answer = self.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix)
        return [item["Key"] for item in answer.get("Contents", [])]

    def transform(self, name: str = "", **changes: Any) -> str:
        """The name of a new job over in/, one record a request, answers joined to their records."""
        name = name or f"job-{uuid4().hex[:12]}"
        self.sagemaker.create_transform_job(**transform_request(name, **changes))
        return name

    def described(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.sagemaker.describe_transform_job(TransformJobName=name)
        return found

    def transformed(self, name: str) -> dict[str, Any]:
        """The job once it is over."""
        return until(lambda: self.described(name), lambda job: job["TransformJobStatus"] in TRANSFORM_ENDS)

    def invocation(self, **changes: Any) -> str:
        """The ARN of a new job over in/."""
        arn: str = self.bedrock.create_model_invocation_job(**invocation_request(**changes))["jobArn"]
        return arn

    def seen(self, arn: str) -> dict[str, Any]:
        found: dict[str, Any] = self.bedrock.get_model_invocation_job(jobIdentifier=arn)
        return found

    def invoked(self, arn: str) -> dict[str, Any]:
        """The job once it is over."""
        return until(lambda: self.seen(arn), lambda job: job["status"] in INVOCATION_ENDS)

    def output(self, arn: str, name: str = "a.jsonl.out") -> list[Any]:
        return self.lines(f"out/{arn.rpartition('/')[2]}/{name}")


def transform_request(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "TransformJobName": name,
        "ModelName": MODEL,
        "BatchStrategy": "SingleRecord",
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/in/"}},
            "ContentType": "application/json",
            "SplitType": "Line",
        },
        "TransformOutput": {
            "S3OutputPath": f"s3://{BUCKET}/out/",
            "Accept": "application/json",
            "AssembleWith": "Line",
        },
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 2},
        "DataProcessing": {"JoinSource": "Input"},
    } | changes


def invocation_request(**changes: Any) -> dict[str, Any]:
    return {
        "jobName": f"job-{uuid4().hex[:12]}",
        "roleArn": ROLE,
        "modelId": TITAN,
        "inputDataConfig": {"s3InputDataConfig": {"s3InputFormat": "JSONL", "s3Uri": f"s3://{BUCKET}/in/"}},
        "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": f"s3://{BUCKET}/out/"}},
    } | changes


def texts(count: int) -> list[dict[str, Any]]:
    return [{"id": f"row-{index}", "inputs": f"text number {index}"} for index in range(count)]


def records(count: int) -> list[dict[str, Any]]:
    return [
        {"recordId": f"record{index:05}", "modelInput": {"inputText": f"text number {index}"}} for index in range(count)
    ]


def states(look: Callable[[], str], ends: tuple[str, ...]) -> list[str]:
    """Those it was seen in, each once."""
    found: list[str] = []

    def note() -> str:
        found.append(look())
        return found[-1]

    until(note, lambda state: state in ends)
    return list(dict.fromkeys(found))


def refused(call: Callable[[], Any]) -> tuple[str, str]:
    """Code and message of the refusal."""
    with pytest.raises(ClientError) as caught:
        call()
    assert 400 <= caught.value.response["ResponseMetadata"]["HTTPStatusCode"] <= 501
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]
