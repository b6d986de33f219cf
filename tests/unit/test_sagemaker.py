"""SageMaker's batch transform as values: its connector, its states, its lines."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from opensearch_batch.errors import NoRoom, OutcomeUnknown, SpecError, Throttled, Unavailable
from opensearch_batch.flow.answers import Usage
from opensearch_batch.providers.aws import s3_layout
from opensearch_batch.providers.sagemaker import provider as sagemaker
from opensearch_batch.spec import BatchSpec

ARN = "arn:aws:sagemaker:eu-west-1:123456789012:transform-job/batch-0a-a1"
INPUT = "s3://bucket/nightly/batch-" + "0" * 32 + "-a1/in/"
JOB = {"files_uri": "s3://bucket/nightly", "instance_type": "ml.m5.large", "region": "eu-west-1"}
DESCRIBED: dict[str, Any] = {
    "TransformJobArn": ARN,
    "TransformJobName": "batch-0a-a1",
    "TransformJobStatus": "Completed",
    "ModelName": "gte-small",
    "CreationTime": 1795368070.0,
    "TransformStartTime": 1795368100.0,
    "TransformEndTime": 1795368400.0,
    "TransformInput": {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": INPUT}}},
    "TransformOutput": {"S3OutputPath": "s3://bucket/out/"},
    "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 2},
}


def test_everything_of_a_job_follows_from_its_input() -> None:
    input_id = s3_layout.input_id("s3://bucket/nightly/", "batch-" + "0" * 32 + "-a1.jsonl")
    assert input_id == INPUT
    parameters = sagemaker.submit_parameters(input_id)
    assert parameters["TransformJobName"] == "batch-" + "0" * 32 + "-a1"
    assert sagemaker.input_file_id(parameters) == INPUT
    assert parameters["TransformOutput"]["S3OutputPath"] == INPUT.replace("/in/", "/out/")
    assert s3_layout.marker_uri(INPUT) == "s3://bucket/nightly/uploads/batch-" + "0" * 32 + "-a1.jsonl"


@pytest.mark.parametrize(
    ("folder", "ours"),
    [
        (INPUT, True),
        (INPUT.replace("/in/", "/out/"), True),
        (INPUT.removesuffix("in/"), False),
        ("s3://bucket/", False),
        ("s3://bucket/in/", False),
    ],
)
def test_only_folders_of_our_jobs_are_ours(folder: str, ours: bool) -> None:
    assert s3_layout.is_ours(folder) is ours


def test_the_connector_signs_and_leaves_three_parameters_to_the_submission() -> None:
    body = sagemaker.connector("name", "gte-small", "/invocations", {"truncate": True}, "", JOB)
    assert (body["protocol"], body["parameters"]["service_name"]) == ("aws_sigv4", "sagemaker")
    urls = {action["action_type"]: action["url"] for action in body["actions"]}
    assert urls["predict"] == "https://runtime.sagemaker.eu-west-1.amazonaws.com/endpoints/gte-small/invocations"
    assert urls["batch_predict"] == "https://api.sagemaker.eu-west-1.amazonaws.com/CreateTransformJob"
    submit = body["actions"][1]["request_body"]
    left = {name for name in sagemaker.submit_parameters(INPUT) if f"${{parameters.{name}}}" in submit}
    assert left == {"TransformJobName", "TransformInput", "TransformOutput"}
    assert body["parameters"]["TransformResources"] == {"InstanceType": "ml.m5.large", "InstanceCount": 1}
    assert "credential" not in body


@pytest.mark.parametrize(
    ("url", "there"),
    [
        (
            "https://api.sagemaker.us-east-1.amazonaws.com/CreateTransformJob",
            "http://h:1/aws/sagemaker/CreateTransformJob",
        ),
        (
            "https://runtime.sagemaker.us-east-1.amazonaws.com/endpoints/e/invocations",
            "http://h:1/aws/sagemaker-runtime/endpoints/e/invocations",
        ),
        ("https://api.example.com/CreateTransformJob", "https://api.example.com/CreateTransformJob"),
    ],
)
def test_the_vendors_urls_move_to_another_server(url: str, there: str) -> None:
    assert sagemaker.moved(url, "http://h:1/aws") == there


def test_a_completed_job_counts_the_seconds_of_all_its_machines() -> None:
    remote = sagemaker.read_job(DESCRIBED)
    assert (remote.id, remote.state, remote.outputs) == (ARN, "completed", ("s3://bucket/out/",))
    assert remote.usage == Usage(instance_seconds=600.0)


@pytest.mark.parametrize(
    ("files", "has_answers"), [({}, True), ({"OutputFiles": 0}, False), ({"OutputFiles": 3}, True)]
)
def test_a_failed_job_may_have_answers_unless_the_store_saw_none(files: dict[str, int], has_answers: bool) -> None:
    failed = {**DESCRIBED, "TransformJobStatus": "Failed", "FailureReason": "ClientError: bad record", **files}
    remote = sagemaker.read_job(failed)
    assert (remote.state, remote.error_code, remote.has_answers) == ("failed", "ClientError", has_answers)
    assert remote.error_message == "ClientError: bad record"


def test_a_stopped_job_leaves_nothing() -> None:
    remote = sagemaker.read_job({**DESCRIBED, "TransformJobStatus": "Stopped"})
    assert (remote.state, remote.outputs, remote.has_answers) == ("cancelled", (), False)


def test_the_answer_to_a_submission_is_an_arn_and_no_state() -> None:
    made = {"TransformJobArn": ARN, "dlq": None}
    assert sagemaker.job_id(made) == ARN
    with pytest.raises(Unavailable, match="no 'TransformJobStatus'"):
        sagemaker.read_job(made)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ('Error from remote service: {"__type":"ThrottlingException","message":"Rate exceeded"}', Throttled),
        ("ResourceLimitExceeded: The account-level service limit is 2 Instances", NoRoom),
        ("ResourceLimitExceeded: The limit is 2 Instances, with current utilization of 2 Instances", NoRoom),
        ("ResourceLimitExceeded: The limit is 0 Instances, with current utilization of 0 Instances", None),
        ("ResourceInUse: Job name must be unique within an AWS account and region", OutcomeUnknown),
        ("ValidationException: Could not find model", None),
    ],
)
def test_refusals_that_are_not_the_end_are_told_by_their_words(said: str, meant: type | None) -> None:
    assert sagemaker.refusal(said) is meant


def test_a_request_is_read_back() -> None:
    line = sagemaker.request("row-1", "text", "m", "/invocations", {"normalize": True})
    assert line["input"] == {"inputs": "text", "normalize": True}
    assert (sagemaker.request_id(line), sagemaker.texts(line)) == ("row-1", ["text"])


@pytest.mark.parametrize("output", ["[[0.5, 1]]", "[0.5, 1]", '{"embedding": [0.5, 1]}', '[{"embedding": [[0.5, 1]]}]'])
def test_a_vector_is_found_in_the_shapes_of_the_common_containers(output: str) -> None:
    answer = sagemaker.read_line(b'{"id": "a", "SageMakerOutput": ' + output.encode() + b"}")
    assert answer.id == "a"
    assert answer.vector is not None
    assert orjson.loads(bytes(answer.vector)) == [0.5, 1]


@pytest.mark.parametrize(
    ("output", "code"),
    [
        ('{"error": "too long", "code": 413}', "413"),
        ("[[0.1, 0.2], [0.3, 0.4]]", "no_vector"),
        ('[{"generated_text": ""}]', "no_output"),
        ("null", "no_output"),
        ("[]", "no_output"),
        ("{}", "no_output"),
    ],
)
def test_what_is_no_answer_is_a_reason(output: str, code: str) -> None:
    answer = sagemaker.read_line(b'{"id": "a", "SageMakerOutput": ' + output.encode() + b"}")
    assert (answer.answered, answer.code) == (False, code)


def test_a_text_is_taken_as_it_came() -> None:
    answer = sagemaker.read_line(b'{"id": "a", "SageMakerOutput": [{"generated_text": "Two."}]}')
    assert answer.output == "Two."


@pytest.mark.parametrize("output", [b"0", b"0.0", b"false", b"1", b"true", b'{"score":0}'])
def test_a_number_or_a_truth_value_is_an_answer_whatever_it_is(output: bytes) -> None:
    """Of a model that judges: the label 0, a score of 0.0, false."""
    answer = sagemaker.read_line(b'{"id": "a", "SageMakerOutput": ' + output + b"}")
    assert answer.output == output.decode()


@pytest.mark.parametrize(("rows", "alone"), [(7, True), (1, False)])
def test_a_row_of_a_file_without_output_goes_again_alone_unless_it_was_alone(rows: int, alone: bool) -> None:
    told = sagemaker.unanswered(b'{"id":"a","input":{}}', "ClientError", "ClientError: 400", rows)
    answer = sagemaker.read_line(told)
    assert (answer.id, answer.code, answer.message) == ("a", "file_failed", "ClientError: 400")
    assert (answer.passing, answer.alone) == (alone, alone)


def test_input_and_output_of_one_place_are_joined() -> None:
    answer = sagemaker.read_line(sagemaker.paired(b'{"id":"a","input":{}}', b"[1,2]"))
    assert (answer.id, answer.vector) == ("a", b"[1,2]")


SPEC: dict[str, Any] = {
    "name": "articles",
    "model": {"provider": "sagemaker", "name": "gte-small", "job": {k: v for k, v in JOB.items() if k != "region"}},
    "input": {"uri": "file:///in.jsonl"},
    "output": {"uri": "file:///out"},
}


def test_a_spec_says_what_a_job_needs_and_takes_the_providers_own_endpoint() -> None:
    spec = BatchSpec.check(SPEC)
    assert (spec.model.endpoint, spec.provider_connection) == ("/invocations", "aws_default")
    assert BatchSpec.check(spec.to_dict()) == spec


@pytest.mark.parametrize(
    ("job", "told"),
    [
        ({}, "model.job.files_uri: this field has to be given.*model.job.instance_type: this field has to be given"),
        (
            {**SPEC["model"]["job"], "instance_typ": "x"},
            "unknown key 'model.job.instance_typ', did you mean 'instance_type'",
        ),
        (
            {**SPEC["model"]["job"], "files_uri": "file:///x"},
            "model.job.files_uri is a folder in S3, s3://bucket/prefix",
        ),
        (
            {**SPEC["model"]["job"], "files_uri": "s3://aws@my-bucket/x"},
            "model.job.files_uri names the connection 'aws'.*: write s3://my-bucket/x",
        ),
    ],
)
def test_a_wrong_job_is_told_by_its_field(job: dict[str, Any], told: str) -> None:
    with pytest.raises(SpecError, match=told):
        BatchSpec.check({**SPEC, "model": {**SPEC["model"], "job": job}})


def test_a_budget_that_no_plan_can_hold_is_refused() -> None:
    with pytest.raises(SpecError, match="bills the time of machines"):
        BatchSpec.check({**SPEC, "limits": {"max_cost_usd": 1}})


def test_the_files_uri_is_filled_in_when_a_run_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCH_DATA_URI", "file:///work")
    monkeypatch.setenv("BUCKET", "s3://mine")
    job = {**SPEC["model"]["job"], "files_uri": "${BUCKET}/batches"}
    spec = BatchSpec.check({**SPEC, "model": {**SPEC["model"], "job": job}})
    assert spec.resolve(run_id="r", partition=None).model.job["files_uri"] == "s3://mine/batches"
