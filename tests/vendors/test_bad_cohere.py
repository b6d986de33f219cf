"""What goes wrong at Cohere: datasets that are refused, parts that are cut, rows that stand elsewhere."""

from __future__ import annotations

import pytest
from airflow.sdk.exceptions import AirflowFailException

from opensearch_batch.errors import Unavailable
from opensearch_batch.providers.cohere import store as cohere_datasets
from opensearch_batch.providers.cohere.avro_parts import rows_at
from tests.sandbox.bench import ML, Run, Server, rows_of
from tests.vendors.vendors import COHERE, Scene, make_scene


@pytest.fixture
def scene(server: Server, run: Run, monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setattr(cohere_datasets, "PAUSE_SECONDS", 0.01)
    return make_scene(COHERE, server, run, monkeypatch)


def datasets(server: Server) -> list[dict[str, object]]:
    """Inputs alone: a job's output is a dataset too, as soon as it is made."""
    only = {"datasetType": "embed-input"}
    answer = server.http.get("/v1/datasets", params=only, headers={"Authorization": "Bearer co-fake-key"})
    found: list[dict[str, object]] = answer.raise_for_status().json()["datasets"]
    return found


def test_a_refused_dataset_names_its_rows_and_leaves_nothing(
    scene: Scene, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row that our own check lets through: what a vendor takes for empty is its own affair."""
    monkeypatch.setattr("opensearch_batch.providers.cohere.provider.request", _without_text)
    bundles = scene.ready(rows_of(3))
    with pytest.raises(AirflowFailException, match=r"not accepted by the provider: 1 invalid rows: line 2: .*empty"):
        scene.submit(bundles)
    assert (datasets(server), scene.vendor.jobs(server)) == ([], [])


def _without_text(name: str, text: str, *_: object) -> dict[str, str]:
    return {"id": name, "text": "\u00a0" if name == "row-1" else text}


def test_a_part_that_is_cut_short_is_taken_up_where_it_broke(scene: Scene, server: Server) -> None:
    outcomes = scene.wait(scene.submit(scene.ready(rows_of(300))))
    server.fault("cut_download", after_bytes=100_000)
    assert scene.report(scene.fetch(outcomes))["answered"] == 300
    assert sum(call["path"].startswith("/cohere-parts/embeds") for call in server.calls) == 2


def test_a_part_that_never_comes_whole_is_tried_again_later(scene: Scene, server: Server) -> None:
    outcomes = scene.wait(scene.submit(scene.ready(rows_of(300))))
    server.fault("cut_download", after_bytes=0, times=-1)
    with pytest.raises(Unavailable, match=r"part .* stopped 8 times"):
        scene.fetch(outcomes)
    assert scene.run.files() == []
    server.no_more_faults()
    assert scene.report(scene.fetch(outcomes))["answered"] == 300
    assert len(scene.vendor.jobs(server)) == 1


def test_what_signs_the_address_of_a_part_is_in_no_error_and_no_log(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.fault("answer", method="GET", path="/cohere-parts/", status=503, body="", times=-1)
    url = f"{server.url}/cohere-parts/part.avro?X-Goog-Signature=not-a-real-signature"
    with pytest.raises(Unavailable, match="stopped 8 times") as caught:
        list(rows_at(url, 100, "part 0"))
    assert "broke off after 0 of 100 bytes: HTTPStatusError: Server error '503" in caplog.text
    assert "/cohere-parts/part.avro?" in caplog.text
    assert "not-a-real-signature" not in f"{caught.value} {caplog.text}"


def test_an_output_of_fewer_rows_is_read_again_and_nothing_lands(scene: Scene, server: Server) -> None:
    bundles = scene.ready(rows_of(300))
    server.fault("lose_row")
    outcomes = scene.wait(scene.submit(bundles))
    with pytest.raises(Unavailable, match="its output has 299 rows, its input has more.*nothing is sent again"):
        scene.fetch(outcomes)
    assert scene.run.files() == []
    assert len(scene.vendor.jobs(server)) == 1


def test_where_no_row_stands_at_its_place_nothing_lands_and_no_row_is_missing(scene: Scene, server: Server) -> None:
    """One row too many, at the beginning, moves all others: none of them is taken for another's."""
    bundles = scene.ready(rows_of(300))
    server.fault("foreign_row")
    outcomes = scene.wait(scene.submit(bundles))
    with pytest.raises(AirflowFailException, match=r"no line of its output can be read; line 1: .* about another text"):
        scene.fetch(outcomes)
    assert scene.run.files() == []
    assert len(scene.vendor.jobs(server)) == 1


def test_rows_that_do_not_stand_at_their_place_are_no_answers(scene: Scene, server: Server) -> None:
    """A row that comes twice moves all that come after it: none of them is taken for another's."""
    bundles = scene.ready(rows_of(300))
    server.fault("duplicate_row")
    fetched = scene.fetch(scene.wait(scene.submit(bundles)))
    assert fetched["landed"][0]["missing"] == 299
    with pytest.raises(AirflowFailException, match="not every planned row is accounted for"):
        scene.report(fetched)


def test_a_failed_job_has_no_reason_and_says_so(scene: Scene, server: Server) -> None:
    bundles = scene.ready(rows_of(3))
    server.fault("fail_batch")
    fetched = scene.fetch(scene.wait(scene.submit(bundles)))
    with pytest.raises(AirflowFailException, match="gives no reason for a failed embed job"):
        scene.report(fetched)


def test_an_upload_that_was_killed_before_its_validation_is_gone_on_with(
    scene: Scene, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundles = scene.ready(rows_of(3))
    server.pace("polls:1000")
    monkeypatch.setattr(cohere_datasets, "VALIDATION_SECONDS", 0.0)
    with pytest.raises(Unavailable, match="still queued"):
        scene.submit(bundles)
    with pytest.raises(Exception, match="is not validated"):
        scene.submit(bundles)
    server.pace("instant")
    scene.submit(bundles)
    assert (len(datasets(server)), len(scene.vendor.jobs(server))) == (1, 1)


def test_the_clusters_own_status_action_cannot_find_an_embed_job(scene: Scene, server: Server) -> None:
    """Why the connector names its own: the default asks for `id`, and the answer to a submission has `job_id`."""
    scene.ready(rows_of(3))
    (connector,) = server.found("connectors")
    kinds = {action["action_type"].lower(): action for action in connector["actions"]}
    assert "${parameters.job_id}" in kinds["batch_predict_status"]["url"]
    assert kinds["batch_predict_status"]["request_body"] == kinds["cancel_batch_predict"]["request_body"] == "{}"
    assert server.ask("GET", f"{ML}/models/{scene.model_id}")["model_state"] == "DEPLOYED"
