"""An OpenAI-compatible server that is not ours: a corpus through real OpenSearch and ogx 1.5.0, which runs each batch
for real, against the sandbox as its model server.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout

from opensearch_batch.flow.jobs import Job
from opensearch_batch.tasks.base import cancel_jobs
from opensearch_batch.tasks.model import CreateConnectorOperator, RegisterModelOperator
from opensearch_batch.tasks.settings import settings_of
from sandbox.server import Sandbox
from stack import namespace
from stack.home import free_port
from stack.processes import StackError
from stack.run import DagRun
from stack.search import local_path
from tests.patience import eventually
from tests.real import ogx_venv
from tests.real.cluster import ML, Cluster
from tests.real.ogx import CHAT_MODEL, KEY, MODEL, Ogx, connection
from tests.real.provider import KEY as MODELS_KEY
from tests.real.provider import Provider
from tests.real.runs import ids, logs
from tests.sandbox.bench import Run, rows_of, sensor

if TYPE_CHECKING:
    from stack.stack import Stack
    from tests.real.by_hand import Use
    from tests.real.connections import Connections

ROWS = 300
WAIT_SECONDS = 25
LOOPBACK = "127.0.0.1"
CONNECTION = "AIRFLOW_CONN_OPENAI_DEFAULT"
FOLLOWED = "it is followed at the provider"
EMBEDDINGS, CHAT = "/v1/embeddings", "/v1/chat/completions"


@pytest.fixture(scope="module")
def models(real: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    """The model server behind ogx: /v1/embeddings with real vectors, /v1/chat/completions with a stand-in."""
    with Sandbox(tmp_path_factory.mktemp("models")) as box, Provider(box.url) as provider:
        yield provider


@pytest.fixture(scope="module")
def server(models: Provider, homes: Path) -> Iterator[Ogx]:
    try:
        ogx_venv.program()
    except StackError as error:
        pytest.skip(str(error))
    with Ogx(homes / "ogx", free_port(), f"{models.url}/v1", MODELS_KEY) as started:
        yield started


@pytest.fixture
def ogx(server: Ogx, models: Provider, monkeypatch: pytest.MonkeyPatch) -> Ogx:
    """At the address that a cluster takes for public."""
    models.reset()
    monkeypatch.setenv(CONNECTION, connection(server.url(namespace.ADDRESS)))
    return server


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Of a name of its own: the server keeps what other tests submitted, where a run of the same name would find it."""
    return Run(tmp_path, tmp_path.name)


@pytest.fixture(autouse=True)
def connected(cluster: Cluster, use: Use) -> None:
    use(cluster.url)


def spec(endpoint: str = EMBEDDINGS, **model: Any) -> dict[str, Any]:
    named = {"name": CHAT_MODEL, "parameters": {"max_tokens": 40}}
    if endpoint == EMBEDDINGS:
        named = {"name": MODEL, "parameters": {"dimensions": 8}}
    return {
        "name": "compatible",
        "model": {"endpoint": endpoint, **named, **model},
        "input": {"uri": "file:///not-read"},
        "output": {"uri": "file:///not-written"},
    }


def model_of(run: Run, spec: dict[str, Any]) -> str:
    connector_id = run.execute(CreateConnectorOperator(task_id="connector", spec=spec))
    return str(run.execute(RegisterModelOperator(task_id="model", spec=spec, connector_id=connector_id)))


def prepared(run: Run, spec: dict[str, Any], rows: list[dict[str, Any]], **settings: Any) -> Any:
    model = spec["model"]
    given = {"model": model["name"], "model_parameters": model["parameters"], "endpoint": model["endpoint"]}
    return run.prepare(rows, **given, **settings)


def vectors(models: Provider, texts: list[str]) -> list[list[float]]:
    """The model server's own, without ogx."""
    answer = httpx.post(
        f"{models.url}/v1/embeddings",
        json={"model": MODEL.removeprefix("local/"), "input": texts, "dimensions": 8},
        headers={"Authorization": f"Bearer {MODELS_KEY}"},
        trust_env=False,
        timeout=60,
    )
    return [entry["embedding"] for entry in answer.raise_for_status().json()["data"]]


def assert_each_row_has_its_own_vector(run: Run, models: Provider, rows: list[dict[str, Any]]) -> None:
    landed = run.landed("results")
    assert landed.keys() == {row["id"] for row in rows}
    wanted = dict(zip(landed, vectors(models, [by_id(rows)[name] for name in landed]), strict=True))
    for name, row in landed.items():
        assert row["embedding"] == pytest.approx(wanted[name], abs=1e-6)


def by_id(rows: list[dict[str, Any]]) -> dict[str, str]:
    return {row["id"]: row["text"] for row in rows}


@pytest.mark.parametrize(
    ("cluster", "host"), [("2.19.6", namespace.ADDRESS), ("3.6.0", LOOPBACK)], indirect=["cluster"]
)
def test_the_projects_own_dag(
    airflow: Stack, cluster: Cluster, connections: Connections, corpus: Path, ogx: Ogx, host: str
) -> None:
    """With another model in the form, and nothing else than the connection said of the server."""
    connections.cluster(cluster.url)
    connections.provider(ogx.url(host).removesuffix("/v1"), KEY)
    run = DagRun.trigger(airflow, "batch_inference", {"spec": "embed_stdlib_docs", "rows": ROWS, "model": MODEL})
    assert run.wait() == "success"
    report = run.xcom("report")
    assert (report["records"], report["answered"], report["failed"], report["missing"]) == (ROWS, ROWS, 0, 0)
    landed = [row for uri in report["results"] for row in ids(local_path(uri))]
    assert sorted(landed) == sorted(ids(corpus)[:ROWS])
    [job] = report["jobs"]
    task = cluster.stored_task(job["task_id"])
    assert task["state"] in (["COMPLETED"] if host == namespace.ADDRESS else ["CREATED", "RUNNING"])
    assert logs(run, "shard.wait_for_batch").count(FOLLOWED) == (host == LOOPBACK)


@pytest.mark.parametrize("texts_per_request", [1, 20])
def test_a_corpus_of_vectors_through_the_cluster(
    cluster: Cluster, ogx: Ogx, models: Provider, run: Run, caplog: pytest.LogCaptureFixture, texts_per_request: int
) -> None:
    caplog.set_level(logging.INFO)
    rows, plan = rows_of(ROWS), spec()
    model_id = model_of(run, plan)
    bundles = prepared(run, plan, rows, max_inputs=160, texts_per_request=texts_per_request)
    jobs = run.submit(model_id, bundles)
    assert len(jobs) == 2
    report = run.fetch(run.wait(jobs))["report"]

    assert (report["records"], report["answered"], report["failed"], report["missing"]) == (ROWS, ROWS, 0, 0)
    assert report["unreadable"] == 0
    assert report["input_tokens"] > ROWS
    assert_each_row_has_its_own_vector(run, models, rows)
    for job in jobs:
        task = cluster.stored_task(job["task_id"])
        assert (task["state"], task["remote_job"]["status"]) == ("COMPLETED", "completed")
        assert task["remote_job"]["output_file_id"] == ogx.job(job["provider_job_id"])["output_file_id"]
    assert FOLLOWED not in caplog.text, "the cluster can see jobs there"


def test_a_corpus_of_texts_through_the_cluster(ogx: Ogx, run: Run) -> None:
    rows, plan = rows_of(40), spec(CHAT)
    model_id = model_of(run, plan)
    report = run.fetch(run.wait(run.submit(model_id, prepared(run, plan, rows))))["report"]
    assert (report["answered"], report["failed"], report["unreadable"]) == (40, 0, 0)
    for name, row in run.landed("results").items():
        assert row["output"].endswith(by_id(rows)[name])
    assert report["output_tokens"] > 0


def test_searches_reach_the_same_model_through_the_same_connector(cluster: Cluster, ogx: Ogx, run: Run) -> None:
    model_id = model_of(run, spec())
    answer = cluster.ok("POST", f"{ML}/models/{model_id}/_predict", {"parameters": {"input": ["a text"]}})
    [output] = answer["inference_results"][0]["output"]
    assert output["shape"] == [8]


def test_where_the_cluster_refuses_to_look_the_job_is_followed_at_the_provider(
    cluster: Cluster,
    ogx: Ogx,
    models: Provider,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setenv(CONNECTION, connection(ogx.url(LOOPBACK)))
    rows, plan = rows_of(ROWS), spec()
    jobs = run.submit(model_of(run, plan), prepared(run, plan, rows))
    assert run.fetch(run.wait(jobs))["report"]["answered"] == ROWS
    assert_each_row_has_its_own_vector(run, models, rows)
    assert f"The cluster cannot see this job: {FOLLOWED}" in caplog.text
    assert cluster.stored_task(jobs[0]["task_id"])["state"] in ("CREATED", "RUNNING")


def test_a_row_the_model_refuses_is_told_and_the_others_stand(ogx: Ogx, run: Run) -> None:
    rows, plan = [*rows_of(20), {"id": "too-long", "text": "word " * 9000}], spec()
    jobs = run.submit(model_of(run, plan), prepared(run, plan, rows))
    report = run.fetch(run.wait(jobs), max_failed_fraction=0.1)["report"]
    assert (report["answered"], report["failed"], report["codes"]) == (20, 1, {"request_failed": 1})
    [failed] = run.landed("failures").values()
    assert failed["id"] == "too-long"
    assert "maximum context length" in failed["message"]


def test_rows_that_a_busy_model_server_refused_go_into_the_repair_round(ogx: Ogx, models: Provider, run: Run) -> None:
    models.order("answer", method="POST", path="/v1/embeddings", status=503, body="busy", times=-1)
    plan = spec()
    jobs = run.submit(model_of(run, plan), prepared(run, plan, rows_of(10)))
    [landed] = run.fetch(run.wait(jobs), repair=True, final=False)["landed"]
    assert (landed["answered"], landed["failed"], landed["passing"]) == (0, 0, {"request_failed": 10})


def test_a_submission_that_is_repeated_finds_its_job(ogx: Ogx, run: Run) -> None:
    """By its file's name there and by the list of jobs, both of which ogx keeps as OpenAI does."""
    plan = spec()
    model_id, bundles = model_of(run, plan), prepared(run, plan, rows_of(20))
    [job] = run.submit(model_id, bundles)
    before = ogx.jobs()
    run.states.clear()
    [again] = run.submit(model_id, bundles)
    assert again["provider_job_id"] == job["provider_job_id"]
    assert ogx.jobs() == before
    assert run.fetch(run.wait([again]))["report"]["answered"] == 20


@pytest.mark.parametrize("host", [namespace.ADDRESS, LOOPBACK])
def test_a_job_is_cancelled(
    cluster: Cluster, ogx: Ogx, models: Provider, run: Run, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv(CONNECTION, connection(ogx.url(host)))
    jobs = submitted_and_slow(ogx, models, run)
    assert cancel_jobs(settings_of(sensor(jobs)), [Job.from_dict(job) for job in jobs]) == []
    [outcome] = run.wait(jobs)
    assert (outcome["state"], outcome["outputs"]) == ("cancelled", [])
    report = run.fetch([outcome], max_failed_fraction=1)["report"]
    assert (report["answered"], report["codes"]) == (0, {"job_cancelled": 20})
    if host == namespace.ADDRESS:
        assert cluster.stored_task(jobs[0]["task_id"])["state"] == "CANCELLED"


def submitted_and_slow(ogx: Ogx, models: Provider, run: Run) -> Any:
    """Jobs that ogx works on, and will for long: its model server does not answer."""
    models.order("delay", method="POST", path="/v1/embeddings", seconds=60, times=-1)
    plan = spec()
    jobs = run.submit(model_of(run, plan), prepared(run, plan, rows_of(20)))
    eventually("in progress", lambda: ogx.job(jobs[0]["provider_job_id"])["status"] == "in_progress")
    return jobs


def test_a_model_id_that_the_server_does_not_have(ogx: Ogx, run: Run) -> None:
    plan = spec(name="local/no-such-model")
    [outcome] = run.wait(run.submit(model_of(run, plan), prepared(run, plan, rows_of(3))))
    assert (outcome["state"], outcome["error_code"]) == ("failed", "model_not_found")
    with pytest.raises(AirflowFailException) as told:
        run.fetch([outcome])
    assert "Model 'local/no-such-model' does not exist or is not supported (line 1)" in str(told.value)


def test_a_key_that_the_server_does_not_know(ogx: Ogx, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = spec()
    bundles = prepared(run, plan, rows_of(3))
    monkeypatch.setenv(CONNECTION, connection(ogx.url(namespace.ADDRESS), "sk-wrong-not-a-secret"))
    model_id = model_of(run, plan)
    with pytest.raises(AirflowFailException, match=r"HTTP 401.*Check the key in the provider's connection"):
        run.submit(model_id, bundles)
    # The key is mended in the connection, but the connector has the old one.
    monkeypatch.setenv(CONNECTION, connection(ogx.url(namespace.ADDRESS), KEY))
    with pytest.raises(AirflowFailException, match="Invalid or missing API key"):
        run.submit(model_id, bundles)


@pytest.mark.parametrize("cluster", ["3.6.0"], indirect=True)
def test_a_server_killed_in_the_middle_never_ends_its_job(
    models: Provider, homes: Path, run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """ogx does not take up its jobs again, so the wait ends them at its deadline; another run is served as ever."""
    caplog.set_level(logging.INFO)
    models.reset()
    port = free_port()
    monkeypatch.setenv(CONNECTION, connection(f"http://{namespace.ADDRESS}:{port}/v1"))
    with Ogx(homes / f"killed-{port}", port, f"{models.url}/v1", MODELS_KEY) as ogx:
        jobs = submitted_and_slow(ogx, models, run)
        job_id = jobs[0]["provider_job_id"]
        seen = ogx.looks(job_id)
        raised: list[BaseException] = []

        def wait() -> None:
            try:
                run.wait(jobs, timeout=WAIT_SECONDS)
            except BaseException as error:
                raised.append(error)

        waiting = threading.Thread(target=wait)
        waiting.start()
        eventually("a look", lambda: ogx.looks(job_id) > seen)
        ogx.kill()
        eventually("a look in vain", lambda: FOLLOWED in caplog.text)
        ogx.start()
        waiting.join(90)

        [error] = raised
        assert isinstance(error, AirflowSensorTimeout)
        assert f"had not ended {WAIT_SECONDS} s after the first look" in str(error)
        assert "they were cancelled" in str(error)
        assert ogx.job(job_id)["status"] == "cancelling", "for good: nobody works on it"
        with pytest.raises(AirflowSensorTimeout, match="had not ended 1 s after the first look"):
            run.wait(jobs, timeout=1)

        models.reset()
        (run.folder / "another").mkdir()
        another, plan = Run(run.folder / "another", "another"), spec()
        jobs = another.submit(model_of(another, plan), prepared(another, plan, rows_of(20)))
        assert another.fetch(another.wait(jobs))["report"]["answered"] == 20
