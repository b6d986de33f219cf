"""Connectors for the other vendors in the cluster face: aws_sigv4, and the functions of their embedding calls."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.aws_face.keys import ACCESS_KEY, SECRET_KEY
from tests.contract.aws import assumed, client
from tests.contract.cluster import connector

if TYPE_CHECKING:
    from sandbox.server import Sandbox
    from tests.contract.cluster import Cluster

KEYS = {"access_key": ACCESS_KEY, "secret_key": SECRET_KEY}
REGION = {"region": "us-east-1", "service_name": "sagemaker"}


def sagemaker(url: str, credential: dict[str, str], parameters: dict[str, str] | None = None) -> dict[str, Any]:
    headers = {"content-type": "application/json"}
    body = '{"TransformJobName": "${parameters.TransformJobName}"}'
    actions = [
        {"action_type": kind, "method": "POST", "url": f"{url}/aws/sagemaker/{last}", "headers": headers}
        | {"request_body": body}
        for kind, last in (("predict", "invoke"), ("batch_predict", "CreateTransformJob"))
    ]
    given = REGION if parameters is None else parameters
    return connector(url, protocol="aws_sigv4", credential=credential, parameters=given, actions=actions)


def submit(cluster: Cluster, credential: dict[str, str]) -> tuple[int, str, str]:
    made = cluster.ok("POST", "/connectors/_create", sagemaker(cluster.url, credential))["connector_id"]
    body = {"parameters": {"TransformJobName": "job"}}
    return cluster.refused("POST", f"/models/{cluster.model(made)}/_batch_predict", body)


@pytest.mark.parametrize(
    ("credential", "parameters", "reason"),
    [
        ({"access_key": ACCESS_KEY}, REGION, "Missing credential"),
        ({"roleArn": "arn:aws:iam::123456789012:role/batch"}, REGION, "Missing credential"),
        (KEYS, {"region": "us-east-1"}, "Missing service name"),
        (KEYS, {"service_name": "sagemaker"}, "Missing region"),
    ],
)
def test_what_a_connector_must_have(
    cluster: Cluster, credential: dict[str, str], parameters: dict[str, str], reason: str
) -> None:
    body = sagemaker(cluster.url, credential, parameters)
    assert cluster.refused("POST", "/connectors/_create", body) == (400, "illegal_argument_exception", reason)


def test_a_wrong_secret_is_refused_by_the_vendor(cluster: Cluster) -> None:
    status, _, reason = submit(cluster, KEYS | {"secret_key": "another"})
    assert status == 403
    assert reason.startswith('Error from remote service: {"__type":"InvalidSignatureException"')


def test_a_session_that_ended_is_refused_by_the_vendor(box: Sandbox, cluster: Cluster) -> None:
    role = "arn:aws:iam::123456789012:role/batch"
    keys = client(box.url, "sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    named = (("access_key", "AccessKeyId"), ("secret_key", "SecretAccessKey"), ("session_token", "SessionToken"))
    credential = {ours: keys[theirs] for ours, theirs in named}
    assert "ExpiredToken" not in submit(cluster, credential)[2]
    cluster.fault("expire_credentials")
    status, _, reason = submit(cluster, credential)
    assert (status, "ExpiredTokenException" in reason) == (403, True)
    assert assumed(box.url, "s3").list_buckets()["Buckets"] == []


def test_a_throttled_call_is_told_by_its_header(cluster: Cluster) -> None:
    headers = {"x-amzn-ErrorType": "ThrottlingException:http://internal.amazon.com/"}
    cluster.fault("answer", path="CreateTransformJob", status=400, body={"message": None}, headers=headers)
    status, _, reason = submit(cluster, KEYS)
    start = "Error from remote service: The request was denied due to remote server throttling."
    assert (status, reason.startswith(start)) == (400, True)


@pytest.mark.parametrize(
    ("vendor", "template", "sent", "answer"),
    [
        ("cohere", '{"texts": ${parameters.texts}}', {"texts": ['a "b"']}, {"embeddings": [[0.5, 1.0]]}),
        (
            "bedrock",
            '{"inputText": "${parameters.inputText}", "dimensions": ${parameters.dimensions}}',
            {"inputText": 'a "b"', "dimensions": 1024},
            {"embedding": [0.5, 1.0]},
        ),
        ("default", "${parameters.input}", ['a "b"'], [[0.5, 1.0]]),
    ],
)
def test_a_question_is_embedded(cluster: Cluster, vendor: str, template: str, sent: Any, answer: Any) -> None:
    actions = connector(cluster.url)["actions"]
    functions = {f"{side}_process_function": f"connector.{side}_process.{vendor}.embedding" for side in ("pre", "post")}
    actions[0] |= {"request_body": template, **functions}
    model_id = cluster.model(cluster.connector(actions=actions))
    cluster.fault("answer", path="^/v1/embeddings", status=200, body=answer)
    got = cluster.ok("POST", f"/models/{model_id}/_predict", {"text_docs": ['a "b"']})
    assert got["inference_results"][0]["output"] == [
        {"name": "sentence_embedding", "data_type": "FLOAT32", "shape": [2], "data": [0.5, 1.0]}
    ]
    (call,) = cluster.provider_calls()
    assert (call["body"] if not isinstance(call["body"], str) else json.loads(call["body"])) == sent


def test_a_job_without_its_arn_is_refused(cluster: Cluster) -> None:
    actions = connector(cluster.url)["actions"]
    actions[1]["post_process_function"] = "connector.post_process.bedrock.batch_job_arn"
    model_id = cluster.model(cluster.connector(actions=actions))
    cluster.fault("answer", path="^/v1/batches", status=200, body={"jobId": "x"})
    body = {"parameters": {"input_file_id": "f", "key": "k"}}
    answer = cluster.refused("POST", f"/models/{model_id}/_batch_predict", body)
    assert answer == (400, "illegal_argument_exception", "job arn is missing.")
