"""Objects in S3, through boto3 against moto's server."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Connection
from botocore.exceptions import (
    BotoCoreError,
    ConnectionClosedError,
    CredentialRetrievalError,
    MetadataRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    ReadTimeoutError,
    ResponseStreamingError,
    TokenRetrievalError,
)

from opensearch_batch.errors import BatchError, KeyExpired, Refused, SpecError, Throttled, Unavailable
from opensearch_batch.flow.shards import Shard
from opensearch_batch.providers.aws import s3_layout
from opensearch_batch.providers.aws import session as aws
from opensearch_batch.providers.aws.s3_files import S3Files
from opensearch_batch.providers.bedrock.store import InvocationJobs
from opensearch_batch.providers.sagemaker.store import TransformJobs
from tests.credential_agent import credential_agent

NAME = "batch-" + "0" * 32 + "-a1.jsonl"


def keyed(**extra: str) -> Connection:
    return Connection(conn_id="aws", conn_type="aws", login="AKIAFAKE", password="fake", extra=json.dumps(extra))


@pytest.fixture
def files(client: Any) -> S3Files:
    return S3Files(client)


@pytest.fixture
def connection(s3_url: str) -> Connection:
    extra = {"region_name": "us-east-1", "endpoint_url": s3_url}
    return keyed(**extra)


def shard_of(folder: Path, rows: int, round: int = 0) -> Shard:
    content = b"".join(b'{"id":"row-%d"}\n' % n for n in range(rows))
    (folder / "shard.jsonl").write_bytes(content)
    return Shard(0, f"file://{folder}/shard.jsonl", "sha", rows, len(content), 1, round=round)


def test_what_is_written_is_found_read_and_removed(files: S3Files, bucket: str) -> None:
    for n in range(3):
        files.put(f"s3://{bucket}/a/{n}.txt", b"one\ntwo\n" * (n + 1))
    found = list(files.found(f"s3://{bucket}/a/"))
    assert [(each.uri.rpartition("/")[2], each.size) for each in found] == [("0.txt", 8), ("1.txt", 16), ("2.txt", 24)]
    assert list(files.lines(found[1].uri)) == [b"one", b"two"] * 2
    assert files.remove(f"s3://{bucket}/a/") == 3
    assert files.size(found[0].uri) is None


def test_a_large_object_goes_up_in_parts_and_comes_down_whole(files: S3Files, bucket: str) -> None:
    line = b"x" * 1023 + b"\n"
    files.upload(f"s3://{bucket}/large", io.BytesIO(line * 20_000))
    assert files.size(f"s3://{bucket}/large") == 20_000 * 1024
    assert sum(1 for each in files.lines(f"s3://{bucket}/large") if each == line[:-1]) == 20_000


def test_a_download_that_breaks_off_goes_on_where_it_was(
    files: S3Files, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = b"".join(b"%06d\n" % n for n in range(200_000))
    files.put(f"s3://{bucket}/o", content)
    whole, asked = files._from, []

    def broken(uri: str, at: int) -> Any:
        asked.append(at)
        chunks = whole(uri, at)
        yield next(chunks)
        if len(asked) < 3:
            raise Unavailable("cut")
        yield from chunks

    monkeypatch.setattr(files, "_from", broken)
    assert b"".join(line + b"\n" for line in files.lines(f"s3://{bucket}/o")) == content
    assert len(asked) == 3
    assert asked == sorted(set(asked))


@pytest.mark.parametrize("uri", ["s3://no-such-bucket/x", "s3://{bucket}/absent"])
def test_what_is_not_there_is_refused_and_told(files: S3Files, bucket: str, uri: str) -> None:
    with pytest.raises(Refused, match="no such object") as caught:
        list(files.lines(uri.format(bucket=bucket)))
    assert caught.value.status == 404


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("SlowDown", Throttled),
        ("SlowDownRead", Throttled),
        ("SlowDownWrite", Throttled),
        ("InternalError", Unavailable),
        ("ServiceUnavailable", Unavailable),
        ("RequestTimeout", Unavailable),
        ("OperationAborted", Unavailable),
        ("ExpiredToken", KeyExpired),
        ("AccessDenied", Refused),
        ("NoSuchBucket", Refused),
        ("MalformedXML", Refused),
    ],
)
def test_what_an_answer_about_many_objects_says_of_one_is_told_by_its_code(code: str, told: type[BatchError]) -> None:
    error = aws.refusal_of("delete s3://b/x", {"Key": "x", "Code": code, "Message": "Sorry."}, 0, {})
    assert (type(error), str(error).startswith(f"delete s3://b/x: {code}: Sorry.")) == (told, True)


def test_a_wrong_region_or_a_server_that_is_down_can_be_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the SDK's own repetitions, whose pauses take longer than all the rest."""
    monkeypatch.setattr(aws, "ATTEMPTS", 1)
    extra = {"region_name": "us-east-1", "endpoint_url": "http://127.0.0.1:9"}
    down = keyed(**extra)
    with pytest.raises(Unavailable, match="Is the region right"):
        S3Files(aws.client_of(down, "s3")).put("s3://bucket/x", b"")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (CredentialRetrievalError(provider="container-role", error_msg="HTTP 503"), Unavailable),
        (MetadataRetrievalError(error_msg="HTTP 503"), Unavailable),
        (TokenRetrievalError(provider="sso", error_msg="refresh failed"), Unavailable),
        (ConnectionClosedError(endpoint_url="https://s3"), Unavailable),
        (ReadTimeoutError(endpoint_url="https://s3"), Unavailable),
        (ResponseStreamingError(error="cut"), Unavailable),
        (NoCredentialsError(), SpecError),
        (PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"), SpecError),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, BotoCoreError) else each.__name__,
)
def test_what_is_away_for_a_moment_can_be_tried_again_and_what_is_not_set_cannot(
    error: BotoCoreError, told: type[BatchError]
) -> None:
    def ask() -> None:
        raise error

    with pytest.raises(told, match="^list s3://bucket/: "):
        aws.from_aws(ask, "list s3://bucket/")


@pytest.mark.usefixtures("read_by")
def test_credentials_that_are_away_for_a_moment_are_asked_for_again(
    s3_url: str, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = {"region_name": "us-east-1", "endpoint_url": s3_url}
    of_the_machine = Connection(conn_id="aws", conn_type="aws", extra=json.dumps(extra))
    with credential_agent(monkeypatch) as agent:
        for ask in (lambda: aws.client_of(of_the_machine, "s3"), lambda: aws.credential_of({}, of_the_machine)):
            with pytest.raises(Unavailable, match="no AWS credentials for now .*503"):
                ask()
        agent.is_up = True
        S3Files(aws.client_of(of_the_machine, "s3")).put(f"s3://{bucket}/x", b"")


@pytest.mark.parametrize(("round", "files_made"), [(0, 4), (1, 10)])
def test_a_shard_is_small_files_and_in_a_repair_round_one_row_each(
    connection: Connection, bucket: str, tmp_path: Path, round: int, files_made: int
) -> None:
    store = TransformJobs(connection, {"files_uri": f"s3://{bucket}/x", "rows_per_file": 3})
    shard = shard_of(tmp_path, 10, round)
    input_id = store.upload(shard, NAME)
    assert input_id == f"s3://{bucket}/x/{NAME.removesuffix('.jsonl')}/in/"
    assert store.file_bytes(input_id) == shard.bytes
    assert len(list(store._files.found(input_id))) == files_made
    assert [line + b"\n" for line in store.lines(input_id)] == (tmp_path / "shard.jsonl").read_bytes().splitlines(True)


@pytest.mark.parametrize("kind", [TransformJobs, InvocationJobs])
def test_an_upload_is_found_by_its_name_once_it_is_whole(
    connection: Connection, bucket: str, tmp_path: Path, kind: type[TransformJobs | InvocationJobs]
) -> None:
    store = kind(connection, {"files_uri": f"s3://{bucket}/x/"})
    assert store.find_uploads("batch-") == {}
    with pytest.raises(Unavailable, match="bytes"):
        store.upload(Shard(0, shard_of(tmp_path, 10).uri, "sha", 10, 99_999, 1), NAME)
    assert store.find_uploads("batch-") == {}
    input_id = store.upload(shard_of(tmp_path, 10), NAME)
    assert store.find_uploads("batch-") == {NAME: input_id}
    (upload,) = store.recent_uploads(0.0)
    assert (upload["id"], upload["filename"], upload["bytes"]) == (input_id, NAME, shard_of(tmp_path, 10).bytes)
    assert store.delete_file(input_id)
    assert not store.delete_file(input_id)
    assert store.find_uploads("batch-") == {}


@pytest.mark.parametrize(
    ("left", "told", "words"), [("one file", Unavailable, "is being deleted"), ("nothing", Refused, "NoSuchKey")]
)
def test_an_input_that_is_deleted_while_it_is_read_is_never_cut_short(
    connection: Connection, bucket: str, tmp_path: Path, left: str, told: type[BatchError], words: str
) -> None:
    store = TransformJobs(connection, {"files_uri": f"s3://{bucket}/x", "rows_per_file": 3})
    input_id = store.upload(shard_of(tmp_path, 10), NAME)
    lines = store.lines(input_id)
    next(lines)
    if left == "nothing":
        store.delete_file(input_id)
    else:
        store._files.remove(f"{input_id}000001.jsonl")
    with pytest.raises(told, match=words):
        list(lines)


@pytest.mark.parametrize("kind", [TransformJobs, InvocationJobs])
@pytest.mark.parametrize("left", ["nothing", "its files"])
def test_an_upload_that_is_deleted_while_uploads_are_read_is_passed_over(
    connection: Connection, bucket: str, tmp_path: Path, kind: type[TransformJobs | InvocationJobs], left: str
) -> None:
    """As by a clean-up of another run, or by a run that takes another's job; its files go after the marker."""
    store = kind(connection, {"files_uri": f"s3://{bucket}/x/"})
    ids = {store.upload(shard_of(tmp_path, 10), NAME.replace("a1", f"a{n}")) for n in (1, 2, 3)}
    uploads = store.recent_uploads(0.0)
    first = next(uploads)
    gone = min(ids - {first["id"]})
    if left == "nothing":
        store.delete_file(gone)
    else:
        store._files.remove(s3_layout.marker_uri(gone))
    rest = [(each["id"], each["created_at"] > 0) for each in uploads]
    (other,) = ids - {first["id"], gone}
    assert rest == [(other, True), *([(gone, False)] if left == "its files" else [])]


def test_what_an_upload_that_broke_off_left_is_not_sent_along(
    connection: Connection, bucket: str, tmp_path: Path
) -> None:
    store = TransformJobs(connection, {"files_uri": f"s3://{bucket}/x", "rows_per_file": 1})
    with pytest.raises(Unavailable):
        store.upload(Shard(0, shard_of(tmp_path, 10).uri, "sha", 10, 99_999, 1), NAME)
    wider = TransformJobs(connection, {"files_uri": f"s3://{bucket}/x", "rows_per_file": 5})
    input_id = wider.upload(shard_of(tmp_path, 10), NAME)
    assert len(list(wider._files.found(input_id))) == 2


def test_an_output_folder_that_holds_files_is_refused(connection: Connection, bucket: str, tmp_path: Path) -> None:
    store = InvocationJobs(connection, {"files_uri": f"s3://{bucket}/x"})
    input_id = s3_layout.input_id(f"s3://{bucket}/x", NAME)
    store._files.put(s3_layout.output_uri(input_id) + "old.jsonl.out", b"{}")
    with pytest.raises(Refused, match=r"holds files already, e\.g\. .*old\.jsonl\.out"):
        store.upload(shard_of(tmp_path, 10), NAME)


@pytest.mark.parametrize("uri", ["s3://bucket/", "s3://bucket/in/", "s3://bucket/x/other/in/"])
def test_nothing_but_a_folder_of_ours_is_deleted(connection: Connection, uri: str) -> None:
    with pytest.raises(Refused, match="not a folder that this package made"):
        InvocationJobs(connection, {}).delete_file(uri)


def test_without_a_place_for_files_an_upload_says_what_is_missing(connection: Connection, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"model\.job\.files_uri"):
        InvocationJobs(connection, {}).upload(shard_of(tmp_path, 1), NAME)


@pytest.mark.usefixtures("read_by")
def test_the_connectors_keys_are_the_connections_or_the_clusters_own_role() -> None:
    extra = {"region_name": "us-east-1", "aws_session_token": "fake-token"}
    temporary = keyed(**extra)
    assert aws.credential_of({"access_key": "<key>"}, temporary) == {
        "access_key": "AKIAFAKE",
        "secret_key": "fake",
        "session_token": "fake-token",
    }
    role = "arn:aws:iam::123456789012:role/domain"
    managed = Connection(conn_id="aws", conn_type="aws", extra=json.dumps({"cluster_role_arn": role}))
    assert aws.credential_of({}, managed) == {"roleArn": role}


@pytest.mark.usefixtures("read_by")
def test_a_connection_without_a_region_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    with pytest.raises(SpecError, match="names no region"):
        aws.region_of(keyed())
