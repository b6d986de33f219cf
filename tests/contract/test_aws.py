"""The AWS face, by the official boto3: who may call, and S3."""

from __future__ import annotations

import io
import os
import time
from typing import TYPE_CHECKING, Any

import boto3.s3.transfer
import httpx
import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, IncompleteReadError, ResponseStreamingError

from sandbox.server import Sandbox
from tests.contract.aws import assumed, client

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.contract.cluster import Cluster

PART_BYTES = 5 * 1024 * 1024


@pytest.fixture
def s3(box: Sandbox) -> Any:
    made = client(box.url, "s3")
    made.create_bucket(Bucket="corpus")
    return made


def refused(call: Callable[[], object]) -> tuple[int, str]:
    with pytest.raises(ClientError) as error:
        call()
    response = error.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def test_an_object_comes_back_as_it_was_put(s3: Any) -> None:
    put = s3.put_object(Bucket="corpus", Key="in/ä b+c.jsonl", Body=b"{}\n", ContentType="x/y", Metadata={"of": "me"})
    got = s3.get_object(Bucket="corpus", Key="in/ä b+c.jsonl")
    assert got["Body"].read() == b"{}\n"
    assert (got["ContentType"], got["Metadata"], got["ETag"]) == ("x/y", {"of": "me"}, put["ETag"])
    assert s3.head_object(Bucket="corpus", Key="in/ä b+c.jsonl")["ContentLength"] == 3


def test_a_put_after_a_refused_one_arrives_as_it_was_sent(s3: Any, cluster: Cluster) -> None:
    """Over one connection: the client asks before it sends a body, and sends none after a refusal."""
    cluster.fault("answer", method="PUT", path="/corpus/first", status=503, body="")
    assert refused(lambda: s3.put_object(Bucket="corpus", Key="first", Body=b"1" * 1000))[0] == 503
    s3.put_object(Bucket="corpus", Key="second", Body=b"2" * 1000)
    assert s3.get_object(Bucket="corpus", Key="second")["Body"].read() == b"2" * 1000
    assert refused(lambda: s3.put_object(Bucket="nowhere", Key="k", Body=b"3" * 1000)) == (404, "NoSuchBucket")
    s3.put_object(Bucket="corpus", Key="third", Body=b"3" * 1000)
    assert s3.get_object(Bucket="corpus", Key="third")["Body"].read() == b"3" * 1000


def test_an_upload_in_parts_and_a_part_of_it_back(s3: Any) -> None:
    content = os.urandom(2 * PART_BYTES + 17)
    parts = boto3.s3.transfer.TransferConfig(multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES)
    s3.upload_fileobj(io.BytesIO(content), "corpus", "big", Config=parts)
    assert s3.head_object(Bucket="corpus", Key="big")["ContentLength"] == len(content)
    ranged = s3.get_object(Bucket="corpus", Key="big", Range=f"bytes={PART_BYTES - 3}-{PART_BYTES + 3}")
    assert ranged["Body"].read() == content[PART_BYTES - 3 : PART_BYTES + 4]
    assert ranged["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert ranged["ContentRange"] == f"bytes {PART_BYTES - 3}-{PART_BYTES + 3}/{len(content)}"
    assert s3.get_object(Bucket="corpus", Key="big", Range="bytes=-4")["Body"].read() == content[-4:]
    past = f"bytes={len(content)}-"
    assert refused(lambda: s3.get_object(Bucket="corpus", Key="big", Range=past)) == (416, "InvalidRange")
    whole = io.BytesIO()
    s3.download_fileobj("corpus", "big", whole, Config=parts)
    assert whole.getvalue() == content


def test_a_listing_comes_in_pages(s3: Any) -> None:
    for index in range(5):
        s3.put_object(Bucket="corpus", Key=f"out/{index}", Body=b"x" * index)
    s3.put_object(Bucket="corpus", Key="other", Body=b"")
    pages = list(s3.get_paginator("list_objects_v2").paginate(Bucket="corpus", Prefix="out/", MaxKeys=2))
    assert [[(item["Key"], item["Size"]) for item in page["Contents"]] for page in pages] == [
        [("out/0", 0), ("out/1", 1)],
        [("out/2", 2), ("out/3", 3)],
        [("out/4", 4)],
    ]
    below = s3.list_objects_v2(Bucket="corpus", Delimiter="/")
    assert [one["Prefix"] for one in below["CommonPrefixes"]] == ["out/"]


def test_a_bucket_that_is_made_again_keeps_its_objects(s3: Any) -> None:
    """As in us-east-1: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html, error 409."""
    s3.put_object(Bucket="corpus", Key="a", Body=b"a")
    s3.create_bucket(Bucket="corpus")
    assert s3.get_object(Bucket="corpus", Key="a")["Body"].read() == b"a"


def test_what_is_deleted_is_gone(s3: Any) -> None:
    for key in ("a", "b", "c"):
        s3.put_object(Bucket="corpus", Key=key, Body=b"1")
    s3.copy_object(Bucket="corpus", Key="d", CopySource={"Bucket": "corpus", "Key": "a"})
    s3.delete_object(Bucket="corpus", Key="a")
    s3.delete_objects(Bucket="corpus", Delete={"Objects": [{"Key": "b"}]})
    assert [item["Key"] for item in s3.list_objects_v2(Bucket="corpus")["Contents"]] == ["c", "d"]
    assert refused(lambda: s3.get_object(Bucket="corpus", Key="a")) == (404, "NoSuchKey")
    assert refused(lambda: s3.head_object(Bucket="corpus", Key="a")) == (404, "404")
    assert refused(lambda: s3.delete_bucket(Bucket="corpus")) == (409, "BucketNotEmpty")
    assert refused(lambda: s3.list_objects_v2(Bucket="nobodys")) == (404, "NoSuchBucket")


def test_a_presigned_url_is_good_for_its_time_and_its_object(s3: Any) -> None:
    s3.put_object(Bucket="corpus", Key="a b", Body=b"here")
    url = s3.generate_presigned_url("get_object", {"Bucket": "corpus", "Key": "a b"}, ExpiresIn=60)
    assert httpx.get(url, trust_env=False).text == "here"
    other = httpx.get(url.replace("a%20b", "c"), trust_env=False)
    assert (other.status_code, "SignatureDoesNotMatch" in other.text) == (403, True)
    late = s3.generate_presigned_url("get_object", {"Bucket": "corpus", "Key": "a b"}, ExpiresIn=-1)
    assert httpx.get(late, trust_env=False).status_code == 403


def test_an_unsigned_call_is_refused(box: Sandbox, s3: Any) -> None:
    answer = httpx.get(f"{box.url}/aws/corpus/a", trust_env=False)
    assert (answer.status_code, "<Code>AccessDenied</Code>" in answer.text) == (403, True)
    old = httpx.get(f"{box.url}/aws/corpus/a?AWSAccessKeyId=AKIASANDBOX&Signature=x&Expires=1", trust_env=False)
    assert (old.status_code, "Please use AWS4-HMAC-SHA256" in old.text) == (400, True)
    answer = httpx.post(f"{box.url}/aws/sagemaker/CreateTransformJob", json={}, trust_env=False)
    assert (answer.status_code, answer.json()["__type"]) == (403, "MissingAuthenticationTokenException")


@pytest.mark.parametrize(
    ("service", "call", "unknown", "wrong"),
    [
        ("s3", "list_buckets", "InvalidAccessKeyId", "SignatureDoesNotMatch"),
        ("sts", "get_caller_identity", "InvalidClientTokenId", "SignatureDoesNotMatch"),
        ("sagemaker", "list_transform_jobs", "UnrecognizedClientException", "InvalidSignatureException"),
        ("bedrock", "list_model_invocation_jobs", "UnrecognizedClientException", "InvalidSignatureException"),
    ],
)
def test_a_key_that_is_not_known_and_a_secret_that_is_wrong(
    box: Sandbox, service: str, call: str, unknown: str, wrong: str
) -> None:
    assert refused(getattr(client(box.url, service, key="AKIANOBODY"), call)) == (403, unknown)
    assert refused(getattr(client(box.url, service, secret="not-the-secret"), call)) == (403, wrong)


def test_a_body_other_than_the_signed_one_is_refused(box: Sandbox, s3: Any) -> None:
    def swap(request: Any, **_: Any) -> None:
        request.body = b"other"

    s3.meta.events.register("before-send.s3.PutObject", swap)
    assert refused(lambda: s3.put_object(Bucket="corpus", Key="a", Body=b"these"))[0] == 403


def test_a_role_gives_keys_that_say_who_they_are(box: Sandbox) -> None:
    sts = client(box.url, "sts", region="eu-central-1")
    assert sts.get_caller_identity()["Account"] == "123456789012"
    given = sts.assume_role(RoleArn="arn:aws:iam::123456789012:role/batch", RoleSessionName="run", DurationSeconds=900)
    left = given["Credentials"]["Expiration"].timestamp() - time.time()
    assert 880 < left <= 900
    keys = given["Credentials"]
    named = {"key": keys["AccessKeyId"], "secret": keys["SecretAccessKey"]}
    who = client(box.url, "sts", token=keys["SessionToken"], **named).get_caller_identity()
    assert who["Arn"] == "arn:aws:sts::123456789012:assumed-role/batch/run" == given["AssumedRoleUser"]["Arn"]
    assert refused(client(box.url, "sts", **named).get_caller_identity) == (403, "InvalidClientTokenId")
    assert refused(client(box.url, "s3", token="another", **named).list_buckets) == (400, "InvalidToken")
    denied = "arn:aws:iam::123456789012:role/batch-denied"
    assert refused(lambda: sts.assume_role(RoleArn=denied, RoleSessionName="run")) == (403, "AccessDenied")


def test_temporary_keys_expire_on_order(box: Sandbox, cluster: Cluster) -> None:
    old = {name: assumed(box.url, name) for name in ("s3", "sts", "sagemaker", "bedrock")}
    old["s3"].list_buckets()
    cluster.fault("expire_credentials")
    assert refused(old["s3"].list_buckets) == (400, "ExpiredToken")
    assert refused(old["sts"].get_caller_identity) == (403, "ExpiredToken")
    assert refused(old["sagemaker"].list_transform_jobs) == (403, "ExpiredTokenException")
    assert refused(old["bedrock"].list_model_invocation_jobs) == (403, "ExpiredTokenException")
    assert assumed(box.url, "s3").list_buckets()["Buckets"] == []
    assert refused(old["s3"].list_buckets) == (400, "ExpiredToken")


def test_permission_is_denied_on_order(box: Sandbox, cluster: Cluster, s3: Any) -> None:
    cluster.fault("deny", method="PUT", path="^/aws/corpus/out/")
    assert refused(lambda: s3.put_object(Bucket="corpus", Key="out/a", Body=b"")) == (403, "AccessDenied")
    s3.put_object(Bucket="corpus", Key="out/a", Body=b"")
    cluster.fault("deny")
    assert refused(client(box.url, "sagemaker").list_transform_jobs) == (403, "AccessDeniedException")


def test_a_download_is_cut_or_slow_on_order(cluster: Cluster, s3: Any) -> None:
    s3.put_object(Bucket="corpus", Key="a", Body=b"x" * 40_000)
    cluster.fault("cut_download", after_bytes=1000)
    with pytest.raises((IncompleteReadError, ResponseStreamingError, ConnectionClosedError)):
        s3.get_object(Bucket="corpus", Key="a")["Body"].read()
    cluster.fault("slow_download", bytes_per_second=80_000)
    started = time.monotonic()
    assert len(s3.get_object(Bucket="corpus", Key="a")["Body"].read()) == 40_000
    assert time.monotonic() - started >= 0.4


def test_the_faults_of_every_face_work_here(box: Sandbox, cluster: Cluster, s3: Any) -> None:
    cluster.fault("down", face="aws", times=1)
    with pytest.raises(ConnectionClosedError):
        s3.list_buckets()
    busy = "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
    cluster.fault("answer", path="^/aws", status=503, body=busy)
    assert refused(s3.list_buckets) == (503, "SlowDown")
    cluster.fault("lost_answer", method="PUT", path="^/aws/corpus/lost")
    with pytest.raises(ConnectionClosedError):
        s3.put_object(Bucket="corpus", Key="lost", Body=b"kept")
    assert s3.get_object(Bucket="corpus", Key="lost")["Body"].read() == b"kept"


def test_buckets_and_keys_outlive_a_restart(tmp_path: Path) -> None:
    box = Sandbox(tmp_path).start()
    try:
        s3 = client(box.url, "s3")
        s3.create_bucket(Bucket="corpus")
        put = s3.put_object(Bucket="corpus", Key="a", Body=b"first", Metadata={"of": "me"})
        s3.put_object(Bucket="corpus", Key="gone", Body=b"")
        s3.delete_object(Bucket="corpus", Key="gone")
        before = s3.head_object(Bucket="corpus", Key="a")["LastModified"]
        temporary = assumed(box.url, "s3")
        box.stop()
        for folder in ("files", "work"):
            (tmp_path / folder / "s3-half-written").write_bytes(b"what a kill left")
        box.start()
        got = temporary.get_object(Bucket="corpus", Key="a")
        assert (got["Body"].read(), got["ETag"], got["Metadata"]) == (b"first", put["ETag"], {"of": "me"})
        assert got["LastModified"] == before
        assert [item["Key"] for item in s3.list_objects_v2(Bucket="corpus")["Contents"]] == ["a"]
        s3.put_object(Bucket="corpus", Key="a", Body=b"second")
        assert s3.get_object(Bucket="corpus", Key="a")["Body"].read() == b"second"
        assert [len(list((tmp_path / folder).iterdir())) for folder in ("files", "work")] == [1, 0]
    finally:
        box.stop()


def test_a_bucket_stays_in_its_region(tmp_path: Path) -> None:
    box = Sandbox(tmp_path).start()
    try:
        s3 = client(box.url, "s3", region="eu-central-1")
        s3.create_bucket(Bucket="corpus", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        box.stop()
        box.start()
        assert s3.get_bucket_location(Bucket="corpus")["LocationConstraint"] == "eu-central-1"
        assert refused(lambda: s3.create_bucket(Bucket="corpus"))[0] in (400, 409)
    finally:
        box.stop()


def test_two_sandboxes_of_a_process_share_nothing(tmp_path: Path) -> None:
    with Sandbox(tmp_path / "1") as one, Sandbox(tmp_path / "2") as two:
        for box in (one, two):
            client(box.url, "s3").create_bucket(Bucket="corpus")
        client(one.url, "s3").put_object(Bucket="corpus", Key="a", Body=b"")
        assert client(two.url, "s3").list_objects_v2(Bucket="corpus")["KeyCount"] == 0
        assert httpx.post(f"{two.url}/_sandbox/reset", trust_env=False).json() == {"reset": True}
        assert client(two.url, "s3").list_buckets()["Buckets"] == []
        assert client(one.url, "s3").get_object(Bucket="corpus", Key="a")["Body"].read() == b""


def test_the_services_see_the_same_objects(box: Sandbox, s3: Any, tmp_path: Path) -> None:
    assert box.work is not None
    s3.put_object(Bucket="corpus", Key="in/a", Body=b"12345")
    held = box.work.aws.objects
    assert (held.has_bucket("corpus"), held.has_bucket("nobodys")) == (True, False)
    assert (held.keys("corpus", "in/"), held.keys("corpus", "x"), held.keys("nobodys", "")) == (["in/a"], [], [])
    assert (held.size("corpus", "in/a"), held.size("corpus", "b")) == (5, None)
    assert b"".join(held.read("corpus", "in/a")) == b"12345"
    with pytest.raises(KeyError):
        held.read("corpus", "b")
    result = tmp_path / "result"
    result.write_bytes(b"a vector")
    held.write("corpus", "out/a.out", result)
    got = s3.get_object(Bucket="corpus", Key="out/a.out")
    assert (got["Body"].read(), got["ContentLength"]) == (b"a vector", 8)
    assert result.exists()
    with pytest.raises(KeyError):
        held.write("nobodys", "a", result)
