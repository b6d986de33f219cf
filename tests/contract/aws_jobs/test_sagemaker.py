"""Batch transform as boto3 sees it: jobs, results, states, and what a wrong user sends."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from sandbox import embedding
from tests.contract.aws_jobs.cloud import (
    BUCKET,
    MODEL,
    ROLE,
    TRANSFORM_ENDS,
    Cloud,
    refused,
    states,
    texts,
    transform_request,
)


def test_each_object_becomes_one_file_of_joined_answers(cloud: Cloud) -> None:
    rows = texts(600)
    cloud.put("in/a.jsonl", rows[:400])
    cloud.put("in/deeper/b.jsonl", rows[400:])
    job = cloud.transformed(cloud.transform())
    assert job["TransformJobStatus"] == "Completed"
    assert cloud.keys("out/") == ["out/a.jsonl.out", "out/deeper/b.jsonl.out"]
    found = cloud.lines("out/a.jsonl.out") + cloud.lines("out/deeper/b.jsonl.out")
    assert [(row["id"], row["inputs"]) for row in found] == [(row["id"], row["inputs"]) for row in rows]
    vectors = [row["SageMakerOutput"][0] for row in found]
    real = embedding.vectors(embedding.tokenize([row["inputs"] for row in rows]))
    assert np.allclose(vectors, real, atol=1e-6)


def test_describe_gives_back_what_was_asked_for_with_times(cloud: Cloud) -> None:
    cloud.put("in/a.jsonl", texts(1))
    name = cloud.transform(MaxPayloadInMB=6, MaxConcurrentTransforms=4)
    job = cloud.transformed(name)
    asked = transform_request(name, MaxPayloadInMB=6, MaxConcurrentTransforms=4)
    assert {key: job[key] for key in asked} == asked
    assert job["TransformJobArn"] == f"arn:aws:sagemaker:us-east-1:123456789012:transform-job/{name}"
    assert job["CreationTime"] <= job["TransformStartTime"] <= job["TransformEndTime"]
    assert "FailureReason" not in job


def test_without_joining_answers_come_by_position(cloud: Cloud) -> None:
    cloud.put("in/a.jsonl", texts(3))
    cloud.transformed(cloud.transform(DataProcessing={"InputFilter": "$", "OutputFilter": "$", "JoinSource": "None"}))
    plain = cloud.lines("out/a.jsonl.out")
    cloud.transformed(cloud.transform())
    joined = cloud.lines("out/a.jsonl.out")
    assert plain == [row["SageMakerOutput"] for row in joined]


def test_filters_choose_what_goes_in_and_what_comes_out(cloud: Cloud) -> None:
    cloud.put("in/a.jsonl", [{"id": "row-0", "request": {"inputs": "a text"}, "other": 1}])
    processing = {"InputFilter": "$.request", "OutputFilter": "$['id','SageMakerOutput']", "JoinSource": "Input"}
    cloud.transformed(cloud.transform(DataProcessing=processing))
    (row,) = cloud.lines("out/a.jsonl.out")
    assert sorted(row) == ["SageMakerOutput", "id"]


def test_a_filter_may_pick_the_text_itself(cloud: Cloud) -> None:
    cloud.put("in/a.jsonl", [{"id": "row-0", "text": "a text"}])
    cloud.transformed(cloud.transform(DataProcessing={"InputFilter": "$.text", "JoinSource": "Input"}))
    (row,) = cloud.lines("out/a.jsonl.out")
    assert len(row["SageMakerOutput"][0]) == 256


@pytest.mark.parametrize("strategy", ["SingleRecord", "MultiRecord"])
def test_json_lines_may_share_a_request(cloud: Cloud, strategy: str) -> None:
    cloud.put("in/a.jsonl", texts(10))
    source = transform_request("x")["TransformInput"] | {"ContentType": "application/jsonlines"}
    cloud.transformed(cloud.transform(TransformInput=source, BatchStrategy=strategy))
    assert [row["id"] for row in cloud.lines("out/a.jsonl.out")] == [f"row-{index}" for index in range(10)]


def test_several_records_in_one_json_request_spoil_the_file(cloud: Cloud) -> None:
    cloud.put("in/a.jsonl", texts(2))
    assert cloud.transformed(cloud.transform(BatchStrategy="MultiRecord"))["TransformJobStatus"] == "Failed"


def test_an_object_that_is_not_split_is_one_request(cloud: Cloud) -> None:
    cloud.put("in/a.json", json.dumps({"inputs": ["one", "two"]}).encode())
    source = transform_request("x")["TransformInput"] | {"SplitType": "None"}
    target = transform_request("x")["TransformOutput"] | {"AssembleWith": "None"}
    cloud.transformed(cloud.transform(TransformInput=source, TransformOutput=target, DataProcessing={}))
    raw = cloud.get("out/a.json.out")
    assert len(json.loads(raw)) == 2
    assert not raw.endswith(b"\n")


def test_a_generating_model_answers_with_text(cloud: Cloud) -> None:
    cloud.model("tiny-gpt")
    cloud.put("in/a.jsonl", texts(1))
    cloud.transformed(cloud.transform(ModelName="tiny-gpt"))
    (row,) = cloud.lines("out/a.jsonl.out")
    assert row["SageMakerOutput"][0]["generated_text"].endswith("text number 0")


@pytest.mark.parametrize(
    "bad", [b"not JSON", b'{"id": "row-x", "text": "no inputs"}', b'{"inputs": ""}', b'{"inputs": 3}']
)
def test_a_bad_record_spoils_its_whole_file_and_no_other(cloud: Cloud, bad: bytes) -> None:
    cloud.put("in/a.jsonl", texts(3))
    cloud.put("in/b.jsonl", b'{"inputs": "good"}\n' + bad + b"\n")
    cloud.put("in/c.jsonl", texts(2))
    job = cloud.transformed(cloud.transform())
    assert job["TransformJobStatus"] == "Failed"
    assert job["FailureReason"] == "ClientError: See job logs for more information"
    assert cloud.keys("out/") == ["out/a.jsonl.out", "out/c.jsonl.out"]


def test_a_record_larger_than_the_payload_spoils_its_file(cloud: Cloud) -> None:
    cloud.put("in/a.jsonl", [{"inputs": "word " * 300_000}])
    assert cloud.transformed(cloud.transform(MaxPayloadInMB=1))["TransformJobStatus"] == "Failed"
    assert cloud.keys("out/") == []


def test_a_job_walks_through_its_states_by_status_reads(cloud: Cloud) -> None:
    cloud.pace("polls:1")
    cloud.put("in/a.jsonl", texts(3))
    name = cloud.transform()
    assert cloud.ledger()[0]["status"] == "InProgress"
    assert cloud.keys("out/") == []
    assert states(lambda: cloud.described(name)["TransformJobStatus"], TRANSFORM_ENDS) == ["InProgress", "Completed"]
    assert cloud.keys("out/") == ["out/a.jsonl.out"]


def test_a_stopped_job_leaves_no_output(cloud: Cloud) -> None:
    cloud.pace("polls:3")
    cloud.put("in/a.jsonl", texts(3))
    name = cloud.transform()
    cloud.sagemaker.stop_transform_job(TransformJobName=name)
    assert states(lambda: cloud.described(name)["TransformJobStatus"], TRANSFORM_ENDS) == ["Stopping", "Stopped"]
    assert cloud.keys("out/") == []
    expected = "The request was rejected because the transform job is in status Stopped"
    assert refused(lambda: cloud.sagemaker.stop_transform_job(TransformJobName=name)) == (
        "ValidationException",
        expected,
    )


def test_a_name_is_taken_for_ever(cloud: Cloud) -> None:
    cloud.put("in/a.jsonl", texts(1))
    name = cloud.transform()
    cloud.transformed(name)
    code, message = refused(lambda: cloud.transform(name))
    assert code == "ResourceInUse"
    assert message.startswith("Job name must be unique within an AWS account and region")
    assert [job["name"] for job in cloud.ledger()] == [name]


def test_a_job_lives_in_its_region(cloud: Cloud) -> None:
    cloud.put("in/a.jsonl", texts(1))
    name = cloud.transform()
    elsewhere = Cloud(cloud.url, "eu-west-1")
    assert refused(lambda: elsewhere.described(name))[0] == "ValidationException"
    assert elsewhere.sagemaker.list_transform_jobs()["TransformJobSummaries"] == []
    elsewhere.close()


def test_a_model_must_exist(cloud: Cloud) -> None:
    cloud.put("in/a.jsonl", texts(1))
    arn = "arn:aws:sagemaker:us-east-1:123456789012:model/nobody"
    expected = ("ValidationException", f'Could not find model "{arn}".')
    assert refused(lambda: cloud.transform(ModelName="nobody")) == expected
    assert cloud.ledger() == []


def test_models_are_made_shown_and_deleted(cloud: Cloud) -> None:
    shown = cloud.sagemaker.describe_model(ModelName=MODEL)
    assert shown["ExecutionRoleArn"] == ROLE
    assert refused(lambda: cloud.model(MODEL))[1] == f'Cannot create already existing model "{shown["ModelArn"]}".'
    cloud.sagemaker.delete_model(ModelName=MODEL)
    assert refused(lambda: cloud.sagemaker.describe_model(ModelName=MODEL))[0] == "ValidationException"


def test_an_input_without_objects_is_refused_at_once(cloud: Cloud) -> None:
    """As in https://github.com/aws/amazon-sagemaker-examples/issues/2414"""
    code, message = refused(cloud.transform)
    assert code == "ValidationException"
    assert message.startswith(f'No S3 objects found under S3 URL "s3://{BUCKET}/in/" given in input data source.')
    assert ROLE in message


def test_a_role_that_may_not_read_finds_no_objects(cloud: Cloud) -> None:
    cloud.put("in/a.jsonl", texts(1))
    cloud.model("shut", f"{ROLE}-denied")
    assert refused(lambda: cloud.transform(ModelName="shut"))[1].startswith("No S3 objects found")


@pytest.mark.parametrize("how", ["no bucket", "no permission"])
def test_an_output_that_cannot_be_written_fails_the_job(cloud: Cloud, how: str) -> None:
    cloud.put("in/a.jsonl", texts(1))
    cloud.model("reader", f"{ROLE}-read-only")
    bucket = "nowhere-at-all" if how == "no bucket" else BUCKET
    target = transform_request("x")["TransformOutput"] | {"S3OutputPath": f"s3://{bucket}/out/"}
    job = cloud.transformed(
        cloud.transform(ModelName="reader" if how == "no permission" else MODEL, TransformOutput=target)
    )
    assert job["TransformJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: ")
    assert cloud.keys("out/") == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"TransformJobName": "no_underscores"}, "'transformJobName' failed to satisfy constraint"),
        ({"TransformJobName": "x" * 64}, "less than or equal to 63"),
        ({"BatchStrategy": "Many"}, "enum value set: [MultiRecord, SingleRecord]"),
        ({"MaxPayloadInMB": 101}, "must not exceed 100 MB"),
        ({"MaxPayloadInMB": 50, "MaxConcurrentTransforms": 3}, "must not exceed 100 MB"),
        ({"TransformResources": {"InstanceType": "ml.huge", "InstanceCount": 1}}, "enum value set"),
        ({"TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 0}}, "greater than or equal to 1"),
    ],
)
def test_a_wrong_request_is_refused_with_the_reason(cloud: Cloud, changes: dict[str, Any], said: str) -> None:
    cloud.put("in/a.jsonl", texts(1))
    request = transform_request("fine") | changes
    answer = cloud.plain("sagemaker", "CreateTransformJob", request)
    assert answer.status_code == 400
    assert answer.json()["__type"] == "ValidationException"
    assert said in answer.json()["message"]


@pytest.mark.parametrize(
    "changes",
    [
        {"DataProcessing": {"InputFilter": "$[1:]"}},
        {"DataProcessing": {"OutputFilter": "$..x"}},
        {"TransformInput": transform_request("x")["TransformInput"] | {"SplitType": "RecordIO"}},
        {"TransformInput": transform_request("x")["TransformInput"] | {"CompressionType": "Gzip"}},
    ],
)
def test_what_the_sandbox_does_not_do_it_does_not_pretend(cloud: Cloud, changes: dict[str, Any]) -> None:
    cloud.put("in/a.jsonl", texts(1))
    assert refused(lambda: cloud.transform(**changes))[0] == "NotServedByTheSandbox"


def test_the_operation_may_be_in_the_path(cloud: Cloud) -> None:
    """As ML Commons calls it: no X-Amz-Target."""
    cloud.put("in/a.jsonl", texts(1))
    made = cloud.plain("sagemaker", "sagemaker/CreateTransformJob", transform_request("by-path"))
    assert made.json() == {"TransformJobArn": "arn:aws:sagemaker:us-east-1:123456789012:transform-job/by-path"}
    cloud.transformed("by-path")
    shown = cloud.plain("sagemaker", "sagemaker/DescribeTransformJob", {"TransformJobName": "by-path"}).json()
    assert shown["TransformJobStatus"] == "Completed"
    assert isinstance(shown["CreationTime"], float)
    unknown = cloud.plain("sagemaker", "sagemaker/CreateTrainingJob", {})
    assert unknown.status_code == 501


def test_jobs_are_listed_by_filter_order_and_page(cloud: Cloud) -> None:
    cloud.put("in/a.jsonl", texts(1))
    names = [cloud.transform(f"{kind}-{index}") for kind in ("left", "right") for index in range(3)]
    for name in names:
        cloud.transformed(name)
    api = cloud.sagemaker

    def listed(**filters: Any) -> list[str]:
        pages = api.get_paginator("list_transform_jobs").paginate(PaginationConfig={"PageSize": 2}, **filters)
        return [job["TransformJobName"] for page in pages for job in page["TransformJobSummaries"]]

    assert sorted(listed()) == sorted(names)
    assert listed(NameContains="left", SortBy="Name", SortOrder="Ascending") == ["left-0", "left-1", "left-2"]
    assert listed(NameContains="left", SortBy="Name") == ["left-2", "left-1", "left-0"]
    assert listed(StatusEquals="Failed") == []
    third = cloud.described(names[2])["CreationTime"]
    assert set(listed(CreationTimeAfter=third)) <= set(names[3:])
    assert names[0] not in listed(CreationTimeAfter=third)
    assert refused(lambda: api.list_transform_jobs(NextToken="made up"))[0] == "ValidationException"


def test_the_ledger_has_what_would_be_billed(cloud: Cloud) -> None:
    cloud.put("in/a.jsonl", texts(5))
    name = cloud.transform()
    job = cloud.transformed(name)
    (entry,) = cloud.ledger()
    assert entry["provider"] == "sagemaker"
    assert entry["id"] == job["TransformJobArn"]
    assert (entry["input"], entry["requests"]) == (f"s3://{BUCKET}/in/", 5)
    assert (entry["instance_type"], entry["instance_count"]) == ("ml.m5.large", 2)
    assert entry["billable_seconds"] >= 2


def test_an_endpoint_answers_at_once(cloud: Cloud) -> None:
    def invoke(endpoint: str, body: bytes) -> Any:
        return cloud.sagemaker_runtime.invoke_endpoint(EndpointName=endpoint, Body=body, ContentType="application/json")

    answer = invoke(f"{MODEL}-endpoint", b'{"inputs": ["one", "two"]}')
    assert [len(vector) for vector in json.loads(answer["Body"].read())] == [256, 256]
    assert refused(lambda: invoke(MODEL, b"{}"))[0] == "ModelError"
    expected = "Endpoint nobody of account 123456789012 not found."
    assert refused(lambda: invoke("nobody", b"{}")) == ("ValidationError", expected)


def test_quota_and_throttling_come_as_ordered_answers(cloud: Cloud) -> None:
    cloud.put("in/a.jsonl", texts(1))
    for code, message in (
        ("ThrottlingException", "Rate exceeded"),
        (
            "ResourceLimitExceeded",
            "The account-level service limit 'ml.m5.large for transform job usage' is 0 Instances, with current "
            "utilization of 0 Instances and a request delta of 2 Instances.",
        ),
    ):
        cloud.order("answer", path="^/aws", status=400, body={"__type": code, "message": message})
        assert refused(cloud.transform) == (code, message)
    assert cloud.ledger() == []


@pytest.mark.parametrize(
    ("fault", "params", "ids"),
    [
        ("lose_row", {}, ["row-1", "row-2"]),
        ("duplicate_row", {}, ["row-0", "row-0", "row-1", "row-2"]),
        ("foreign_row", {}, ["foreign-1", "row-0", "row-1", "row-2"]),
    ],
)
def test_rows_are_damaged_on_order(cloud: Cloud, fault: str, params: dict[str, Any], ids: list[str]) -> None:
    cloud.put("in/a.jsonl", texts(3))
    cloud.order(fault, **params)
    cloud.transformed(cloud.transform())
    assert [row["id"] for row in cloud.lines("out/a.jsonl.out")] == ids


def test_a_row_is_cut_on_order(cloud: Cloud) -> None:
    cloud.put("in/a.jsonl", texts(3))
    cloud.order("cut_row")
    cloud.transformed(cloud.transform())
    first, *others = cloud.get("out/a.jsonl.out").splitlines()
    with pytest.raises(ValueError, match=r"."):
        json.loads(first)
    assert [json.loads(line)["id"] for line in others] == ["row-1", "row-2"]


def test_lines_change_places_on_order(cloud: Cloud) -> None:
    cloud.put("in/a.jsonl", texts(50))
    cloud.order("reorder")
    cloud.transformed(cloud.transform())
    ids = [row["id"] for row in cloud.lines("out/a.jsonl.out")]
    assert ids != [row["id"] for row in texts(50)]
    assert sorted(ids) == sorted(row["id"] for row in texts(50))


def test_a_row_ordered_to_fail_spoils_its_file(cloud: Cloud) -> None:
    cloud.put("in/a.jsonl", texts(3))
    cloud.put("in/b.jsonl", [{"id": "other", "inputs": "x"}])
    cloud.order("fail_rows", ids=["row-1"])
    assert cloud.transformed(cloud.transform())["TransformJobStatus"] == "Failed"
    assert cloud.keys("out/") == ["out/b.jsonl.out"]
    cloud.order("all_rows_fail")
    assert cloud.transformed(cloud.transform())["TransformJobStatus"] == "Failed"


def test_a_job_fails_or_is_stopped_by_somebody_else_on_order(cloud: Cloud) -> None:
    cloud.put("in/a.jsonl", texts(3))
    cloud.order("fail_batch", message="InternalServerError: We encountered an internal error. Please try again.")
    job = cloud.transformed(cloud.transform())
    assert (job["TransformJobStatus"], job["FailureReason"][:19]) == ("Failed", "InternalServerError")
    cloud.order("cancel")
    assert cloud.transformed(cloud.transform())["TransformJobStatus"] == "Stopped"
    assert cloud.keys("out/") == []
