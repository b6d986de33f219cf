"""What goes wrong at AWS: told clearly, tried again only where that can help, and nothing paid twice."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from opensearch_batch import providers
from opensearch_batch.errors import Throttled, Unavailable
from opensearch_batch.flow.jobs import Job, ended
from opensearch_batch.flow.shards import Shard
from opensearch_batch.operators import SubmitBatchOperator
from opensearch_batch.orphans import __main__ as orphans
from opensearch_batch.providers.store import ProviderStore, open_store_of
from opensearch_batch.spec import BatchSpec
from opensearch_batch.submit.names import file_name, shard_key
from opensearch_batch.tasks.base import flat
from opensearch_batch.tasks.settings import settings_of
from tests.patience import until
from tests.sandbox.bench import Run, Server, first_event, rows_of
from tests.sandbox.test_admission import stored
from tests.unit.test_orphans import Airflow
from tests.vendors.vendors import BEDROCK, BUCKET, SAGEMAKER, Scene, Vendor, aws, aws_connection, make_scene

ROLE = "arn:aws:iam::123456789012:role/team"
THEIRS = "another-team"


@pytest.fixture(params=(SAGEMAKER, BEDROCK), ids=lambda vendor: vendor.name)
def vendor(request: pytest.FixtureRequest) -> Vendor:
    found: Vendor = request.param
    return found


def with_job(scene: Scene, **job: Any) -> Scene:
    model = {**scene.vendor.model, "job": {**scene.vendor.model["job"], **job}}
    changed = Vendor(**{**vars(scene.vendor), "model": model})
    return Scene(changed, scene.server, scene.run)


def test_a_missing_bucket_is_told_before_anything_is_sent(scene: Scene, server: Server) -> None:
    lost = with_job(scene, files_uri="s3://no-such-bucket/jobs")
    bundles = lost.ready(rows_of(120))
    with pytest.raises(AirflowFailException, match=r"no-such-bucket.*NoSuchBucket.*Are the region and the name right"):
        lost.submit(bundles)
    assert scene.vendor.jobs(server) == []


def test_a_right_that_is_missing_is_told_with_where_to_find_it(scene: Scene, server: Server) -> None:
    bundles = scene.ready(rows_of(120))
    server.fault("deny", method="PUT", path="/jobs/")
    with pytest.raises(AirflowFailException, match=r"AccessDenied.*docs/providers has the policy"):
        scene.submit(bundles)
    assert scene.vendor.jobs(server) == []


@pytest.mark.parametrize(
    ("codes", "told"),
    [
        (["SlowDown"], Throttled),
        (["InternalError", "SlowDown"], Unavailable),
        (["SlowDown", "AccessDenied"], AirflowFailException),
    ],
)
def test_an_object_that_is_not_deleted_at_once_is_deleted_by_a_later_try(
    scene: Scene, server: Server, codes: list[str], told: type[Exception]
) -> None:
    """S3 answers 200 to a deletion of many, with what became of each; one that is refused for good counts."""
    bundles = scene.ready(rows_of(120))
    server.fault("answer", method="PUT", path=f"/{BUCKET}/jobs/uploads/", status=403, body="")
    with pytest.raises(AirflowFailException):
        scene.submit(bundles)
    each = "".join(f"<Error><Key>in/{code}</Key><Code>{code}</Code><Message>Sorry.</Message></Error>" for code in codes)
    body = f'<DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{each}</DeleteResult>'
    server.fault("answer", method="POST", path=f"/{BUCKET}$", status=200, body=body)
    with pytest.raises(told, match=rf"in/{codes[-1] if told is AirflowFailException else codes[0]}.*Sorry"):
        scene.submit(bundles)
    assert scene.vendor.jobs(server) == []
    scene.submit(bundles)
    assert len(scene.vendor.jobs(server)) == 1


def refuses_jobs(scene: Scene, server: Server, code: str, times: int) -> None:
    body = {"__type": code, "message": f"{code}: come back later"}
    server.fault("answer", path=scene.vendor.create, status=400, body=body, times=times)


def test_throttled_is_tried_again(scene: Scene, server: Server) -> None:
    bundles = scene.ready(rows_of(120))
    refuses_jobs(scene, server, "ThrottlingException", 1)
    with pytest.raises(Throttled, match="ThrottlingException"):
        scene.submit(bundles)
    assert scene.vendor.jobs(server) == []
    scene.submit(bundles)
    assert len(scene.vendor.jobs(server)) == 1


def test_over_quota_it_waits_deferred_with_the_jobs_that_it_has(
    scene: Scene, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    quota = "ResourceLimitExceeded" if scene.vendor is SAGEMAKER else "ServiceQuotaExceededException"
    shards = flat(scene.ready(rows_of(250), max_requests=125))
    first = scene.submit(shards[:1])
    refuses_jobs(scene, server, quota, -1)
    submit = scene.submitting(shards)
    with pytest.raises(TaskDeferred) as waits:
        scene.run.execute(submit)
    assert re.search(rf"shard 1 waits for room: .*{quota}: come back later.*Deferred: no worker", caplog.text)
    for _ in range(5):  # more than the retries of a task
        event = first_event(stored(waits.value.trigger))
        assert event["carried"] == first
        with pytest.raises(TaskDeferred) as waits:
            submit.turn_came(scene.run.context(submit), event)
    server.no_more_faults()
    jobs = submit.turn_came(scene.run.context(submit), first_event(stored(waits.value.trigger)))
    assert (jobs[0], len(jobs), len(scene.vendor.jobs(server))) == (first[0], 2, 2)
    assert scene.report(scene.fetch(scene.wait(jobs)))["answered"] == 250


def test_a_model_that_does_not_exist_is_refused_for_good(
    server: Server, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = Vendor(**{**vars(SAGEMAKER), "model": {**SAGEMAKER.model, "name": "no-such-model"}})
    scene = make_scene(wrong, server, run, monkeypatch)
    bundles = scene.ready(rows_of(60))
    with pytest.raises(AirflowFailException, match="Could not find model"):
        scene.submit(bundles)
    assert wrong.jobs(server) == []


def test_a_job_name_that_another_has_is_told_and_its_job_is_not_taken_for_ours(scene: Scene, server: Server) -> None:
    """Somebody's job has the name that ours would get, and reads other files."""
    bundles = scene.ready(rows_of(120))
    _take_name(scene, server, _name_of(scene, bundles))
    with pytest.raises((AirflowFailException, Unavailable), match="is taken by a transform job|currently in use"):
        scene.submit(bundles)
    assert len(scene.vendor.jobs(server)) == 1


def _name_of(scene: Scene, bundles: Any) -> str:
    """The name of the first attempt of the first shard."""
    submit = SubmitBatchOperator(task_id="submit", spec=scene.spec, model_id=scene.model_id, shards=bundles)
    key = shard_key(submit._run_name(scene.run.context(submit), settings_of(submit)), Shard.from_dict(flat(bundles)[0]))
    return file_name(key, 1).removesuffix(".jsonl")


def _take_name(scene: Scene, server: Server, name: str, bucket: str = BUCKET) -> str:
    """Return the ARN of somebody's job of this name."""
    aws(server, "s3").put_object(Bucket=bucket, Key="other/in.jsonl", Body=b'{"recordId":"a","modelInput":{}}\n')
    if scene.vendor is SAGEMAKER:
        made = aws(server, "sagemaker").create_transform_job(
            TransformJobName=name,
            ModelName="stdlib-embedding",
            TransformInput={
                "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/other/"}}
            },
            TransformOutput={"S3OutputPath": f"s3://{bucket}/elsewhere/"},
            TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
        )
        return str(made["TransformJobArn"])
    made = aws(server, "bedrock").create_model_invocation_job(
        jobName=name,
        roleArn="arn:aws:iam::123456789012:role/batch",
        modelId="amazon.titan-embed-text-v2:0",
        inputDataConfig={"s3InputDataConfig": {"s3Uri": f"s3://{bucket}/other/in.jsonl"}},
        outputDataConfig={"s3OutputDataConfig": {"s3Uri": f"s3://{bucket}/elsewhere/"}},
    )
    return str(made["jobArn"])


def _ended_elsewhere(scene: Scene, server: Server, bucket: str) -> str:
    """Return the ARN of another team's job, which has ended; its bucket may not be listed, or is gone."""
    s3 = aws(server, "s3")
    s3.create_bucket(Bucket=THEIRS)
    job_id = _take_name(scene, server, "theirs", THEIRS)
    read_job = providers.get(scene.vendor.name).read_job
    until(lambda: read_job(_stored(scene).get_job(job_id)), lambda job: ended(job) or job.state == "settling")
    if bucket == "denied":
        server.fault("deny", path=f"/aws/{THEIRS}", times=-1)
        return job_id
    for each in s3.list_objects_v2(Bucket=THEIRS)["Contents"]:
        s3.delete_object(Bucket=THEIRS, Key=each["Key"])
    s3.delete_bucket(Bucket=THEIRS)
    return job_id


def _stored(scene: Scene) -> ProviderStore:
    spec = BatchSpec.check(scene.spec)
    return open_store_of(providers.get(scene.vendor.name), spec.provider_connection, spec.model.job)


@pytest.mark.parametrize("bucket", ["denied", "deleted"])
def test_a_job_over_a_file_of_ones_own_is_sent_beside_jobs_of_others(scene: Scene, server: Server, bucket: str) -> None:
    """Which job reads the file is seen in their documents; their files are none of our business."""
    bundles = scene.ready(rows_of(120))
    (mine,) = scene.submit(bundles)
    job_id = _ended_elsewhere(scene, server, bucket)
    own = mine["input_file_id"].replace("/batch-", "/own-")
    s3 = aws(server, "s3")
    for each in s3.list_objects_v2(Bucket=BUCKET, Prefix=mine["input_file_id"].partition(f"{BUCKET}/")[2])["Contents"]:
        source = {"Bucket": BUCKET, "Key": each["Key"]}
        s3.copy_object(Bucket=BUCKET, Key=each["Key"].replace("/batch-", "/own-"), CopySource=source)
    (job,) = scene.submit(None, parameters=providers.get(scene.vendor.name).submit_parameters(own))
    assert job["input_file_id"] == own
    assert len({job_id, mine["provider_job_id"], job["provider_job_id"]}) == len(scene.vendor.jobs(server)) == 3


@pytest.mark.parametrize(
    ("vendor", "named"),
    [
        *((SAGEMAKER, named) for named in ("own/in.jsonl", "own/i", "own/", "own")),
        *((BEDROCK, named) for named in ("own/in.jsonl", "own/", "own")),
    ],
    indirect=["vendor"],
    ids=lambda each: getattr(each, "name", each),
)
def test_a_job_over_a_file_of_ones_own_lands_however_its_input_is_named(
    scene: Scene, server: Server, named: str
) -> None:
    """The file, the begin of its name, its folder with a slash and without. The job's output comes to lie below it."""
    server.fault("min_records", count=1)
    scene.ready(rows_of(120))
    provider, model = providers.get(scene.vendor.name), scene.vendor.model["name"]
    rows = [provider.request(f"own{n}", "a text", model, provider.ENDPOINTS[0], {"dimensions": 256}) for n in range(3)]
    content = "\n".join(map(json.dumps, rows)).encode()
    aws(server, "s3").put_object(Bucket=BUCKET, Key="own/in.jsonl", Body=content)
    jobs = scene.submit(None, parameters=provider.submit_parameters(f"s3://{BUCKET}/{named}"))
    (landed,) = scene.fetch(scene.wait(jobs))["landed"]
    assert (landed["records"], landed["answered"], landed["failed"], landed["missing"]) == (3, 3, 0, 0)


@pytest.mark.parametrize("bucket", ["denied", "deleted"])
def test_a_job_of_others_that_ends_after_the_list_keeps_nobody_waiting(
    server: Server, run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], bucket: str
) -> None:
    """The list of transform jobs says that it runs, and its document that it has ended."""
    scene = make_scene(SAGEMAKER, server, run, monkeypatch)
    bundles = scene.ready(rows_of(60), max_jobs_in_flight=1)
    job_id = _ended_elsewhere(scene, server, bucket)
    before = {"TransformJobName": "theirs", "TransformJobArn": job_id, "TransformJobStatus": "InProgress"}
    page = {"TransformJobSummaries": [before | {"CreationTime": time.time()}]}
    server.fault("answer", path="ListTransformJobs", status=200, body=page, times=-1)
    assert len(scene.submit(bundles, pool="opensearch_batch_by_hand")) == 1
    assert orphans.look(BatchSpec.check(scene.spec), _stored(scene), Airflow(), cancel=False) == 0
    assert job_id not in capsys.readouterr().out


@pytest.mark.usefixtures("read_by")
def test_keys_that_end_in_the_middle_of_a_wait_are_read_anew(
    scene: Scene, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection has a role, so every client gets keys of its own; the connector keeps those it was given."""
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", aws_connection(server, role_arn=ROLE))
    jobs = scene.submit(scene.ready(rows_of(120)))
    server.pace("polls:2")
    server.fault("expire_credentials")
    assert scene.report(scene.fetch(scene.wait(jobs)))["answered"] == 120
    looks = [call for call in server.calls if "/_plugins/_ml/tasks/" in call["path"]]
    assert looks
    assert looks[-1]["status"] >= 400, "the cluster's keys have ended too"


@pytest.mark.usefixtures("read_by")
@pytest.mark.parametrize("on_change", ["error", "redeploy"])
def test_temporary_keys_of_a_connector_are_renewed_before_a_submit_only_when_allowed(
    scene: Scene, server: Server, monkeypatch: pytest.MonkeyPatch, on_change: str
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", aws_connection(server, role_arn=ROLE))
    bundles = scene.ready(rows_of(120))
    server.fault("expire_credentials")
    aws_call(server)
    scene.register(on_change=on_change)
    if on_change == "error":
        with pytest.raises(AirflowFailException, match="refused the connector's key"):
            scene.submit(bundles)
        assert scene.vendor.jobs(server) == []
    else:
        scene.submit(bundles)
        assert len(scene.vendor.jobs(server)) == 1


def aws_call(server: Server) -> None:
    """The order to expire takes effect with the next call of a temporary key."""
    sts = aws(server, "sts").assume_role(RoleArn=ROLE, RoleSessionName="other")["Credentials"]
    assert sts["AccessKeyId"].startswith("ASIA")


@pytest.mark.usefixtures("read_by")
def test_a_role_that_may_not_be_assumed_is_told(scene: Scene, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    bundles = scene.ready(rows_of(120))
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", aws_connection(server, role_arn=f"{ROLE}-denied"))
    with pytest.raises(AirflowFailException, match="AccessDenied"):
        scene.submit(bundles)
    assert scene.vendor.jobs(server) == []


def test_output_that_may_not_be_written_is_the_jobs_reason(
    server: Server, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = with_job(
        make_scene(BEDROCK, server, run, monkeypatch), role_arn="arn:aws:iam::123456789012:role/r-read-only"
    )
    fetched = scene.fetch(scene.wait(scene.submit(scene.ready(rows_of(120)))))
    with pytest.raises(AirflowFailException, match="120 of 120 rows failed.*PutObject permissions"):
        scene.report(fetched)


def test_a_bad_record_costs_its_file_and_a_repair_round_finds_it(
    server: Server, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SageMaker gives no output for the file of row-30, which has 20 rows: they go again, one a file."""
    scene = make_scene(SAGEMAKER, server, run, monkeypatch)
    bundles = scene.ready(rows_of(60), repair_rounds=1)
    server.fault("fail_rows", ids=["row-30"], times=2)
    first = scene.fetch(scene.wait(scene.submit(bundles)), repair=True)
    (landed,) = first["landed"]
    assert (landed["answered"], landed["passing"]) == (40, {"file_failed": 20})
    again = scene.fetch(scene.wait(scene.submit(scene.repair(first), task_id="submit_again")), task_id="fetch_again")
    with pytest.raises(AirflowFailException, match=r"1 of 60 rows failed.*row-30"):
        scene.report(first, again, repaired_by=("repair",))
    assert len(run.landed("results")) == 59
    assert run.landed("failures")["row-30"]["code"] == "file_failed"
    assert len(SAGEMAKER.jobs(server)) == 2


def test_a_job_that_only_fails_is_a_new_attempt_after_a_clear(scene: Scene, server: Server) -> None:
    server.fault("fail_batch", message="ClientError: the model has no such file")
    bundles = scene.ready(rows_of(120))
    jobs = scene.submit(bundles)
    outcomes = scene.wait(jobs)
    assert outcomes[0]["state"] == "failed"
    (again,) = scene.submit(bundles)
    assert (again["attempt"], again["provider_job_id"] != jobs[0]["provider_job_id"]) == (2, True)
    assert scene.report(scene.fetch(scene.wait([again])))["answered"] == 120


def test_partly_completed_is_no_success_and_its_rest_goes_again(
    server: Server, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = make_scene(BEDROCK, server, run, monkeypatch)
    server.fault("min_records", count=1)
    server.fault("expire", fraction=0.5)
    first = scene.fetch(scene.wait(scene.submit(scene.ready(rows_of(200), min_requests=1))), repair=True)
    assert (first["landed"][0]["state"], first["landed"][0]["answered"]) == ("expired", 100)
    again = scene.fetch(scene.wait(scene.submit(scene.repair(first), task_id="submit_again")), task_id="fetch_again")
    report = scene.report(first, again, repaired_by=("repair",))
    assert (report["answered"], report["repaired"]) == (200, 100)
    assert sum(job["requests"] for job in BEDROCK.jobs(server)) == 200, "no row was charged twice"


def test_a_row_that_is_answered_with_an_error_is_named(
    server: Server, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = make_scene(BEDROCK, server, run, monkeypatch)
    bundles = scene.ready(rows_of(120))
    server.fault("fail_rows", ids=["x726f772d35"], status_code=400, message="too long")
    fetched = scene.fetch(scene.wait(scene.submit(bundles)))
    with pytest.raises(AirflowFailException, match="1 of 120 rows failed.*row-5.*too long"):
        scene.report(fetched)


def test_fewer_rows_than_a_job_may_have_are_refused_before_anything_is_sent(
    server: Server, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = make_scene(BEDROCK, server, run, monkeypatch)
    with pytest.raises(AirflowFailException, match="no job with fewer than 100.*limits.min_requests"):
        scene.prepare(rows_of(99))


def test_the_report_counts_the_machines_time(server: Server, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = make_scene(SAGEMAKER, server, run, monkeypatch)
    server.pace("clock:1.2")
    report = scene.through(rows_of(60), usd_per_instance_hour=3.6)
    assert report["instance_seconds"] > 0
    assert report["actual_usd"] == pytest.approx(report["instance_seconds"] / 1000)
    assert json.loads((run.out / "manifest.json").read_bytes())["report"]["estimated_usd"] is None


def test_a_connector_without_a_join_is_joined_by_place(
    server: Server, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the documentation's blueprint leaves it."""
    scene = make_scene(SAGEMAKER, server, run, monkeypatch)
    bundles = scene.ready(rows_of(60))
    jobs = scene.submit(bundles, parameters={"DataProcessing": {"InputFilter": "$.input"}})
    assert scene.report(scene.fetch(scene.wait(jobs)))["answered"] == 60
    assert Job.from_dict(jobs[0]).parameters == {"DataProcessing": {"InputFilter": "$.input"}}
