"""Model invocation jobs as boto3 sees them: results, states, refusals, and InvokeModel beside them."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest

from sandbox import embedding
from tests.contract.aws_jobs.cloud import (
    BUCKET,
    INVOCATION_ENDS,
    ROLE,
    TITAN,
    Cloud,
    invocation_request,
    records,
    refused,
    states,
)
from tests.patience import until

CLAUDE = "anthropic.claude-3-haiku-20240307-v1:0"
NOVA = "us.amazon.nova-lite-v1:0"
COHERE = "cohere.embed-english-v3"
QUESTION = {"role": "user", "content": [{"type": "text", "text": "Why is the sky blue?"}]}


def test_each_file_gets_its_answers_and_the_job_its_manifest(cloud: Cloud) -> None:
    rows = records(300)
    cloud.put("in/a.jsonl", rows[:280])
    cloud.put("in/deeper/b.jsonl", rows[280:])
    cloud.put("in/readme.txt", b"not a record")
    arn = cloud.invocation()
    job = cloud.invoked(arn)
    assert job["status"] == "Completed"
    found = cloud.output(arn) + cloud.output(arn, "deeper/b.jsonl.out")
    ids = [row["recordId"] for row in found]
    assert ids != [row["recordId"] for row in rows]
    assert sorted(ids) == [row["recordId"] for row in rows]
    found.sort(key=lambda row: row["recordId"])
    assert [row["modelInput"] for row in found] == [row["modelInput"] for row in rows]
    real = embedding.vectors(embedding.tokenize([row["modelInput"]["inputText"] for row in rows]))
    assert np.allclose([row["modelOutput"]["embedding"] for row in found], real, atol=1e-6)
    manifest = json.loads(cloud.get(f"out/{arn.rpartition('/')[2]}/manifest.json.out"))
    tokens = sum(row["modelOutput"]["inputTextTokenCount"] for row in found)
    assert manifest == {
        "totalRecordCount": 300,
        "processedRecordCount": 300,
        "successRecordCount": 300,
        "errorRecordCount": 0,
        "inputTokenCount": tokens,
        "outputTokenCount": 0,
    }
    assert {name: job[name] for name in manifest if name in job} == {
        name: count for name, count in manifest.items() if "Token" not in name
    }


def test_the_input_may_be_one_file(cloud: Cloud) -> None:
    cloud.put("in/a.jsonl", records(2))
    cloud.put("in/a.jsonl.jsonl", records(5))
    source = {"s3InputDataConfig": {"s3InputFormat": "JSONL", "s3Uri": f"s3://{BUCKET}/in/a.jsonl"}}
    arn = cloud.invocation(inputDataConfig=source)
    assert cloud.invoked(arn)["totalRecordCount"] == 2
    assert len(cloud.output(arn)) == 2


def test_a_bad_record_is_answered_with_its_error_in_place(cloud: Cloud) -> None:
    cloud.put("in/a.jsonl", [*records(2), {"recordId": "bad", "modelInput": {"text": "the wrong name"}}])
    arn = cloud.invocation()
    job = cloud.invoked(arn)
    assert (job["status"], job["successRecordCount"], job["errorRecordCount"]) == ("Completed", 2, 1)
    (bad,) = [row for row in cloud.output(arn) if row["recordId"] == "bad"]
    assert sorted(bad) == ["error", "modelInput", "recordId"]
    assert bad["error"] == {"errorCode": 400, "errorMessage": "inputText: Field required"}


def test_a_record_without_an_id_gets_one(cloud: Cloud) -> None:
    cloud.put("in/a.jsonl", [{"modelInput": {"inputText": "one"}}, {"modelInput": {"inputText": "two"}}])
    arn = cloud.invocation()
    cloud.invoked(arn)
    ids = {row["recordId"] for row in cloud.output(arn)}
    assert {len(id_) for id_ in ids} == {11}
    assert len(ids) == 2


def test_a_job_walks_through_its_states_by_status_reads(cloud: Cloud) -> None:
    cloud.pace("polls:1")
    cloud.put("in/a.jsonl", records(3))
    arn = cloud.invocation()
    assert cloud.ledger()[0]["status"] == "Submitted"
    seen = states(lambda: cloud.seen(arn)["status"], INVOCATION_ENDS)
    assert seen == ["Validating", "Scheduled", "InProgress", "Completed"]
    assert len(cloud.output(arn)) == 3


def test_get_gives_back_what_was_asked_for_with_times(cloud: Cloud) -> None:
    cloud.put("in/a.jsonl", records(1))
    asked = invocation_request(clientRequestToken="token-1", timeoutDurationInHours=48)
    arn = cloud.bedrock.create_model_invocation_job(**asked)["jobArn"]
    job = cloud.invoked(arn)
    assert {name: job[name] for name in asked} == asked
    assert job["submitTime"] <= job["lastModifiedTime"] == job["endTime"]
    assert (job["jobExpirationTime"] - job["submitTime"]).total_seconds() == 48 * 3600


def test_a_job_is_found_by_its_arn_or_its_id(cloud: Cloud) -> None:
    cloud.put("in/a.jsonl", records(1))
    arn = cloud.invocation()
    job = cloud.invoked(arn)
    assert cloud.seen(arn.rpartition("/")[2])["jobName"] == job["jobName"]
    for identifier in (quote(arn, safe=""), quote(arn, safe=":"), arn):
        shown = cloud.plain("bedrock", f"bedrock/model-invocation-job/{identifier}", method="GET")
        assert shown.json()["jobArn"] == arn
        assert shown.json()["submitTime"].endswith("Z")
    code, message = refused(lambda: cloud.seen("nosuchjob123"))
    assert code == "ResourceNotFoundException"
    assert "nosuchjob123" in message


def test_a_token_makes_one_job(cloud: Cloud) -> None:
    cloud.put("in/a.jsonl", records(1))
    asked = invocation_request(clientRequestToken="same-token")
    arns = {cloud.bedrock.create_model_invocation_job(**asked)["jobArn"] for _ in range(3)}
    assert len(arns) == 1
    # As botocore's model has it: the request is ignored and no error returned, whatever else it asks for.
    changed = asked | {"jobName": "another"}
    assert cloud.bedrock.create_model_invocation_job(**changed)["jobArn"] in arns
    assert len(cloud.ledger()) == 1


def test_a_job_name_is_taken(cloud: Cloud) -> None:
    cloud.put("in/a.jsonl", records(1))
    cloud.invoked(cloud.invocation(jobName="mine"))
    expected = ("ValidationException", "The provided job name is currently in use.")
    assert refused(lambda: cloud.invocation(jobName="mine")) == expected
    assert len(cloud.ledger()) == 1


def test_a_job_lives_in_its_region(cloud: Cloud) -> None:
    cloud.put("in/a.jsonl", records(1))
    arn = cloud.invocation()
    elsewhere = Cloud(cloud.url, "eu-west-1")
    assert refused(lambda: elsewhere.seen(arn))[0] == "ResourceNotFoundException"
    elsewhere.close()


def test_a_job_stopped_in_progress_has_written_and_charged_a_part(cloud: Cloud) -> None:
    cloud.pace("polls:1")
    cloud.put("in/a.jsonl", records(10))
    arn = cloud.invocation()
    until(lambda: cloud.seen(arn)["status"], lambda status: status == "InProgress")
    cloud.bedrock.stop_model_invocation_job(jobIdentifier=arn)
    assert cloud.ledger()[0]["status"] == "Stopping"
    job = cloud.invoked(arn)
    assert (job["status"], job["totalRecordCount"], job["processedRecordCount"]) == ("Stopped", 10, 5)
    assert len(cloud.output(arn)) == 5
    assert cloud.ledger()[0]["requests"] == 5
    code, message = refused(lambda: cloud.bedrock.stop_model_invocation_job(jobIdentifier=arn))
    assert code == "ConflictException"
    assert "Stopped" in message


def test_a_job_stopped_before_it_ran_has_done_nothing(cloud: Cloud) -> None:
    cloud.pace("polls:5")
    cloud.put("in/a.jsonl", records(10))
    arn = cloud.invocation()
    cloud.bedrock.stop_model_invocation_job(jobIdentifier=arn)
    cloud.pace("instant")
    assert cloud.invoked(arn)["status"] == "Stopped"
    assert cloud.keys("out/") == []
    assert cloud.ledger()[0]["requests"] == 0


def test_too_few_records_fail_the_job(cloud: Cloud) -> None:
    cloud.forget_faults()
    cloud.put("in/a.jsonl", records(99))
    job = cloud.invoked(cloud.invocation())
    assert job["status"] == "Failed"
    assert job["message"] == "Batch job contains less records (99) than the required minimum of: 100"
    assert cloud.keys("out/") == []


@pytest.mark.parametrize("line", [b"not JSON", b'{"recordId": "x"}', b'{"recordId": 5, "modelInput": {}}', b"[1]"])
def test_a_record_of_a_wrong_form_fails_the_whole_job(cloud: Cloud, line: bytes) -> None:
    cloud.put("in/a.jsonl", json.dumps(records(1)[0]).encode() + b"\n" + line + b"\n")
    job = cloud.invoked(cloud.invocation())
    assert job["status"] == "Failed"
    assert "line 2 of in/a.jsonl" in job["message"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"roleArn": f"{ROLE}-denied"}, "Could not validate GetObject permissions"),
        ({"roleArn": f"{ROLE}-read-only"}, "Could not validate PutObject permissions"),
        (
            {"inputDataConfig": {"s3InputDataConfig": {"s3Uri": f"s3://{BUCKET}/empty/"}}},
            "Could not validate GetObject permissions",
        ),
        (
            {"outputDataConfig": {"s3OutputDataConfig": {"s3Uri": "s3://nowhere-at-all/out/"}}},
            "Could not validate PutObject permissions",
        ),
    ],
)
def test_places_that_cannot_be_used_fail_the_job(cloud: Cloud, changes: dict[str, Any], message: str) -> None:
    cloud.put("in/a.jsonl", records(1))
    job = cloud.invoked(cloud.invocation(**changes))
    assert job["status"] == "Failed"
    assert message in job["message"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"modelId": "nobody.model-v1"}, "The provided model identifier is invalid."),
        ({"jobName": "no spaces"}, "'jobName' failed to satisfy constraint"),
        ({"roleArn": "me"}, "'roleArn' failed to satisfy constraint"),
        ({"timeoutDurationInHours": 1}, "greater than or equal to 24"),
        ({"inputDataConfig": {"s3InputDataConfig": {"s3Uri": "http://elsewhere"}}}, "regular expression pattern"),
    ],
)
def test_a_wrong_request_is_refused_with_the_reason(cloud: Cloud, changes: dict[str, Any], said: str) -> None:
    answer = cloud.plain("bedrock", "bedrock/model-invocation-job", invocation_request() | changes)
    assert answer.status_code == 400
    assert answer.headers["x-amzn-errortype"] == "ValidationException"
    assert said in answer.json()["message"]
    assert cloud.ledger() == []


def test_converse_jobs_are_not_served(cloud: Cloud) -> None:
    assert refused(lambda: cloud.invocation(modelInvocationType="Converse"))[0] == "NotServedByTheSandbox"


def test_jobs_are_listed_by_filter_and_page(cloud: Cloud) -> None:
    cloud.put("in/a.jsonl", records(1))
    names = [f"{kind}-{index}" for kind in ("left", "right") for index in range(3)]
    arns = [cloud.invocation(jobName=name) for name in names]
    for arn in arns:
        cloud.invoked(arn)

    def listed(**filters: Any) -> list[str]:
        pager = cloud.bedrock.get_paginator("list_model_invocation_jobs")
        pages = pager.paginate(PaginationConfig={"PageSize": 2}, **filters)
        return [job["jobName"] for page in pages for job in page["invocationJobSummaries"]]

    assert listed() == names[::-1]
    assert listed(nameContains="left", sortOrder="Ascending") == ["left-0", "left-1", "left-2"]
    assert listed(statusEquals="Failed") == []
    begun = cloud.seen(arns[0])["submitTime"]
    assert listed(submitTimeBefore=begun) == []
    assert set(names[1:]) - set(listed(submitTimeAfter=begun)) == set()


def test_time_that_runs_out_leaves_a_part(cloud: Cloud) -> None:
    cloud.put("in/a.jsonl", records(10))
    cloud.order("expire", fraction=0.3)
    arn = cloud.invocation()
    job = cloud.invoked(arn)
    assert (job["status"], job["processedRecordCount"]) == ("PartiallyCompleted", 3)
    assert len(cloud.output(arn)) == 3
    cloud.order("expire", fraction=0)
    arn = cloud.invocation()
    assert cloud.invoked(arn)["status"] == "Expired"
    assert [entry["requests"] for entry in cloud.ledger()] == [3, 0]


def test_a_job_fails_or_is_stopped_by_somebody_else_on_order(cloud: Cloud) -> None:
    cloud.put("in/a.jsonl", records(10))
    cloud.order("fail_batch", message="on order")
    job = cloud.invoked(cloud.invocation())
    assert (job["status"], job["message"]) == ("Failed", "on order")
    cloud.order("cancel")
    assert cloud.invoked(cloud.invocation())["status"] == "Stopped"


@pytest.mark.parametrize(("fault", "count"), [("lose_row", 2), ("duplicate_row", 4), ("foreign_row", 4)])
def test_rows_are_damaged_on_order(cloud: Cloud, fault: str, count: int) -> None:
    cloud.put("in/a.jsonl", records(3))
    cloud.order(fault)
    arn = cloud.invocation()
    cloud.invoked(arn)
    found = cloud.output(arn)
    assert len(found) == count
    assert ("foreign-1" in {row["recordId"] for row in found}) == (fault == "foreign_row")


def test_rows_are_refused_on_order(cloud: Cloud) -> None:
    cloud.put("in/a.jsonl", records(4))
    cloud.order("fail_rows", ids=["record00002"], status_code=429, message="Too many requests")
    arn = cloud.invocation()
    assert cloud.invoked(arn)["errorRecordCount"] == 1
    (row,) = [row for row in cloud.output(arn) if "error" in row]
    assert row["recordId"] == "record00002"
    assert row["error"] == {"errorCode": 429, "errorMessage": "Too many requests"}
    cloud.order("all_rows_fail")
    arn = cloud.invocation()
    job = cloud.invoked(arn)
    assert (job["status"], job["errorRecordCount"]) == ("Completed", 4)


@pytest.mark.parametrize(
    ("model", "body", "tokens"),
    [
        (CLAUDE, {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": [QUESTION]}, "usage"),
        (NOVA, {"messages": [{"role": "user", "content": [{"text": "Why is the sky blue?"}]}]}, "usage"),
    ],
)
def test_text_models_answer_in_their_own_shape(cloud: Cloud, model: str, body: dict[str, Any], tokens: str) -> None:
    cloud.put("in/a.jsonl", [{"recordId": "one", "modelInput": body}])
    arn = cloud.invocation(modelId=model)
    cloud.invoked(arn)
    (row,) = cloud.output(arn)
    online = json.loads(cloud.bedrock_runtime.invoke_model(modelId=model, body=json.dumps(body))["body"].read())
    assert row["modelOutput"] == online
    message = online["output"]["message"] if model == NOVA else online
    assert message["content"][0]["text"].endswith("Why is the sky blue?")
    assert cloud.ledger()[0]["output_tokens"] == online[tokens]["outputTokens" if model == NOVA else "output_tokens"]


def test_embedding_models_answer_at_once(cloud: Cloud) -> None:
    def invoke(model: str, **body: Any) -> Any:
        answer = cloud.bedrock_runtime.invoke_model(modelId=model, body=json.dumps(body))
        return json.loads(answer["body"].read())

    assert len(invoke(TITAN, inputText="one")["embedding"]) == 256
    assert len(invoke("amazon.titan-embed-text-v1", inputText="one")["embedding"]) == 256
    found = invoke(COHERE, texts=["one", "two"], input_type="search_document")
    assert [len(vector) for vector in found["embeddings"]] == [256, 256]
    by_type = invoke(COHERE, texts=["one"], input_type="search_document", embedding_types=["float"])
    assert by_type["embeddings"]["float"] == found["embeddings"][:1]
    assert refused(lambda: invoke(TITAN))[0] == "ValidationException"
    assert refused(lambda: invoke("nobody.model", inputText="x"))[1] == "The provided model identifier is invalid."


def test_the_ledger_has_what_would_be_billed(cloud: Cloud) -> None:
    cloud.put("in/a.jsonl", records(5))
    arn = cloud.invocation()
    cloud.invoked(arn)
    (entry,) = cloud.ledger()
    assert (entry["provider"], entry["id"], entry["model"]) == ("bedrock", arn, TITAN)
    assert (entry["input"], entry["requests"]) == (f"s3://{BUCKET}/in/", 5)
    assert entry["input_tokens"] > 5
