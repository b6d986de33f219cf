"""The stores against a server that says anything at all: no call goes on for ever, fails otherwise than with our own
errors, or takes what it cannot read for "no".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from airflow.sdk import Connection
from hypothesis import given

from opensearch_batch import providers
from opensearch_batch.errors import BatchError, Transient, UnknownAnswer
from opensearch_batch.providers.cohere.store import PAGE
from opensearch_batch.providers.store import ProviderStore, open_store
from sandbox.aws_face.keys import ACCESS_KEY, SECRET_KEY
from sandbox.odd_answers import BODIES
from sandbox.server import Sandbox
from tests import spoiling
from tests.spoiling import spoiled
from tests.unit.test_odd_answers import BATCH, EMBED_JOB, INVOCATION, TRANSFORM

bounded = spoiling.bounded(15)
FILE = {
    "id": "file-in",
    "object": "file",
    "bytes": 12,
    "created_at": 1764000000,
    "filename": "batch-x-a1.jsonl",
    "purpose": "batch",
}
DATASET = {
    "id": "rows-1",
    "name": "batch-x-a1.jsonl",
    "created_at": "2026-11-27T10:00:00Z",
    "updated_at": "2026-11-27T10:00:00Z",
    "dataset_type": "embed-input",
    "validation_status": "validated",
    "dataset_parts": [{"id": "p", "name": "p", "url": "http://127.0.0.1/p", "size_bytes": 9, "num_rows": 1}],
}
INPUTS = {"openai": "file-in", "cohere": "rows-1", "sagemaker": "s3://b/own/input/", "bedrock": "s3://b/batch-1/in/"}
JOB_LISTS: dict[str, tuple[str, Any]] = {
    "openai": ("data", BATCH),
    "cohere": ("embed_jobs", EMBED_JOB),
    "bedrock": ("invocationJobSummaries", INVOCATION),
}
JOBS = {"openai": BATCH, "cohere": EMBED_JOB, "sagemaker": TRANSFORM, "bedrock": INVOCATION}


class Answering:
    """A server that gives the same answer to every call."""

    def __init__(self, url: str) -> None:
        self.url, self.http = url, httpx.Client(base_url=url, trust_env=False)

    def says(self, body: Any, kind: str = "application/json") -> None:
        self.http.delete("/_sandbox/faults").raise_for_status()
        raw = body if isinstance(body, str) else json.dumps(body)
        order = {"fault": "answer", "status": 200, "body": raw, "headers": {"Content-Type": kind}, "times": -1}
        self.http.post("/_sandbox/faults", json=order).raise_for_status()

    def calls(self) -> int:
        found = len(self.http.get("/_sandbox/calls").json())
        self.http.delete("/_sandbox/calls")
        return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Answering]:
    with Sandbox(tmp_path_factory.mktemp("odd")) as box:
        yield Answering(box.url)


def connection_of(url: str, vendor: str) -> Connection:
    if vendor in ("sagemaker", "bedrock"):
        extra = {"region_name": "us-east-1", "endpoint_url": f"{url}/aws"}
        return Connection(conn_id="c", conn_type="aws", login=ACCESS_KEY, password=SECRET_KEY, extra=json.dumps(extra))
    host = f"{url}/v1" if vendor == "openai" else url
    return Connection(conn_id="c", conn_type="http", host=host, password="sk-not-a-secret")


@pytest.fixture(scope="module")
def stores(server: Answering) -> Iterator[dict[str, ProviderStore]]:
    """Without the SDKs' own repetitions, whose pauses take longer than all the rest."""
    job = {"files_uri": "s3://b/files"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("opensearch_batch.providers.aws.session.ATTEMPTS", 1)
        yield {
            name: open_store(providers.get(name), connection_of(server.url, name), job)
            for name in ("openai", "cohere", "sagemaker", "bedrock")
        }


def asked(ask: Callable[[], Any]) -> Any:
    """The answer, or the error of ours; any other error fails the test."""
    try:
        return ask()
    except BatchError as error:
        return error


@pytest.mark.parametrize("vendor", JOB_LISTS)
def test_no_list_of_jobs_that_cannot_be_read_says_that_there_is_none(
    server: Answering, stores: dict[str, ProviderStore], vendor: str
) -> None:
    name, job = JOB_LISTS[vendor]
    page = {"object": "list", name: [job, job | {"input_file_id": "file-other"}], "has_more": False}
    provider, store = providers.get(vendor), stores[vendor]

    @bounded
    @given(spoiled(page))
    def check(said: Any) -> None:
        server.says(said)
        found = asked(lambda: store.find_jobs(INPUTS[vendor]))
        if found == []:
            listed = said[name]
            assert all(isinstance(provider.input_file_id(each), str) for each in listed), "none of them may be ours"
        for ask in (
            lambda: list(store.recent_jobs(0.0)),
            lambda: store.list_jobs({"batch_1", "job-1"}, 2, None),
        ):
            asked(ask)
        assert server.calls() < 30, "no list goes on for ever"

    check()


@pytest.mark.parametrize(
    ("vendor", "page"),
    [
        ("openai", {"object": "list", "data": [FILE, FILE | {"id": "file-2"}], "has_more": False}),
        ("cohere", {"datasets": [DATASET]}),
    ],
)
def test_lists_of_files_are_read_as_far_as_they_can_be(
    server: Answering, stores: dict[str, ProviderStore], vendor: str, page: Any
) -> None:
    @bounded
    @given(spoiled(page))
    def check(said: Any) -> None:
        server.says(said)
        found = asked(lambda: stores[vendor].find_uploads("batch-"))
        if isinstance(found, dict):
            assert all(isinstance(each, str) and each for pair in found.items() for each in pair)
        uploads = asked(lambda: list(stores[vendor].recent_uploads(0.0)))
        if isinstance(uploads, list):
            assert all(isinstance(each["bytes"], int) and isinstance(each["created_at"], float) for each in uploads)
        asked(lambda: stores[vendor].stored_bytes())
        assert server.calls() < 30

    check()


@pytest.mark.parametrize("vendor", JOBS)
def test_a_job_is_a_document_or_an_error_of_ours(
    server: Answering, stores: dict[str, ProviderStore], vendor: str
) -> None:
    @bounded
    @given(spoiled(JOBS[vendor]))
    def check(said: Any) -> None:
        server.says(said)
        found = asked(lambda: providers.get(vendor).read_job(stores[vendor].get_job("batch-1")))
        assert not isinstance(found, dict)
        asked(lambda: stores[vendor].file_bytes(INPUTS[vendor]))

    check()


@pytest.mark.parametrize("shape", BODIES)
@pytest.mark.parametrize("vendor", JOBS)
def test_a_200_that_is_no_document_is_never_a_no(
    server: Answering, stores: dict[str, ProviderStore], vendor: str, shape: str
) -> None:
    kind, body = BODIES[shape]
    server.says(body.decode(), kind)
    store, provider = stores[vendor], providers.get(vendor)
    for what, ask in {
        "find_jobs": lambda: store.find_jobs(INPUTS[vendor]),
        "read_job": lambda: provider.read_job(store.get_job("batch-1")),
        "list_jobs": lambda: store.list_jobs({"batch_1"}, 1, None),
        "recent_jobs": lambda: list(store.recent_jobs(0.0)),
        "cancel_job": lambda: store.cancel_job("batch-1"),
        "find_uploads": lambda: store.find_uploads("batch-"),
    }.items():
        assert isinstance(asked(ask), Transient), f"{vendor}: {what} took {shape} for an answer"


def recent(store: ProviderStore) -> Any:
    return list(store.recent_jobs(0.0))


ENDLESS: dict[str, tuple[dict[str, Any], Callable[[ProviderStore], Any]]] = {
    "openai": ({"data": [BATCH], "has_more": True}, recent),
    "sagemaker": ({"TransformJobSummaries": [TRANSFORM], "NextToken": "more"}, recent),
    "bedrock": ({"invocationJobSummaries": [INVOCATION], "nextToken": "more"}, recent),
    "cohere": ({"datasets": [DATASET] * PAGE}, lambda store: store.find_uploads("batch-")),
}


@pytest.mark.parametrize("vendor", ENDLESS)
def test_a_page_that_comes_again_and_again_is_an_error(
    server: Answering, stores: dict[str, ProviderStore], vendor: str
) -> None:
    page, ask = ENDLESS[vendor]
    server.says(page)
    server.calls()
    with pytest.raises(UnknownAnswer, match="gives the same page again"):
        ask(stores[vendor])
    assert server.calls() <= 4
