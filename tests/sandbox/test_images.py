"""Images by URL through a whole run: what the vendor is sent, which rows are bad, and where no signature is left."""

from __future__ import annotations

import base64
import csv
import io
import json
import logging
import sqlite3
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from airflow.sdk.exceptions import AirflowFailException

from opensearch_batch.operators import PrepareRepairOperator, ReportOperator
from tests.sandbox.approving import ask
from tests.sandbox.bench import Run, Server
from tests.sandbox.late import Flow, figures, time_is_up
from tests.sandbox.test_admission import high_water, in_turns, submitting
from tests.sandbox.test_erase import erase, kinds, provider_has
from tests.sandbox.test_erase import through as erased_through
from tests.sandbox.test_repair import Rounds, requests_of, sent

Logged = Callable[[], str]
CHAT, RESPONSES, MODEL = "/v1/chat/completions", "/v1/responses", "gpt-4o-mini"
SECRET = "not-a-real-signature"
CAPTION: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["caption", "kind"],
    "properties": {"caption": {"type": "string"}, "kind": {"type": "string", "enum": ["photo", "drawing"]}},
}
ASKED: dict[str, Any] = {
    "model": MODEL,
    "endpoint": CHAT,
    "model_parameters": {"max_tokens": 50},
    "output_schema": CAPTION,
    "system_prompt": "You write captions.",
    "prompt": "Caption the picture of {name}.",
    "images": {"field": "photo"},
}


@pytest.fixture
def chat_id(server: Server) -> str:
    return server.model(CHAT, MODEL)


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> Logged:
    """All that was logged so far, by whatever logger, and printed."""
    caplog.set_level(logging.DEBUG)

    def text() -> str:
        printed = capsys.readouterr()
        assert (said := caplog.text + printed.out + printed.err)
        return said

    return text


def url_of(number: int | str, host: str = "img.example") -> str:
    return f"https://{host}/{number}.jpg?X-Amz-Signature={SECRET}&n={number}"


def pictures(count: int) -> list[dict[str, Any]]:
    return [{"id": f"row-{n}", "name": f"thing {n}", "photo": url_of(n)} for n in range(count)]


def spec_of(run: Run, rows: list[dict[str, Any]], **sections: Any) -> dict[str, Any]:
    return {
        "name": "by_hand",
        "model": {"name": MODEL, "endpoint": CHAT, "parameters": {"max_tokens": 50}},
        "input": {"uri": run.write(rows), "prompt": "Caption {name}.", "images": {"field": "photo"}},
        "output": {"uri": f"file://{run.out}"},
        "work_uri": f"file://{run.folder}/work",
        **sections,
    }


def parts_of(server: Server) -> list[list[dict[str, Any]]]:
    """The content of the last message of each request."""
    (job,) = requests_of(server)
    return [line["body"]["messages"][-1]["content"] for line in job]


def urls_of(server: Server) -> list[list[str]]:
    return [[part["image_url"]["url"] for part in parts[1:]] for parts in parts_of(server)]


def through(run: Run, model_id: str, rows: Any, **settings: Any) -> Any:
    fetch = {"max_failed_fraction": settings.pop("max_failed_fraction", 0.0)}
    bundles = run.prepare(rows, output_uri=f"file://{run.out}", **ASKED | settings)
    return run.fetch(run.wait(run.submit(model_id, bundles)), **fetch)


def written_by(run: Run) -> Iterator[tuple[str, str]]:
    """Each file of the output, and each XCom."""
    yield from ((str(path), path.read_text()) for path in run.out.rglob("*") if path.is_file())
    yield from ((str(key), json.dumps(value)) for key, value in run.xcoms.items())


def test_captions_land_for_rows_with_images(server: Server, chat_id: str, run: Run) -> None:
    rows = pictures(20)
    rows[3]["photo"] = [url_of("a"), url_of("b")]
    through(run, chat_id, rows, images={"field": "photo", "detail": "low"})
    (job,) = requests_of(server)
    assert job[0]["body"]["messages"] == [
        {"role": "system", "content": "You write captions."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Caption the picture of thing 0."},
                {"type": "image_url", "image_url": {"url": url_of(0), "detail": "low"}},
            ],
        },
    ]
    assert urls_of(server)[3] == [url_of("a"), url_of("b")]
    assert job[0]["body"]["response_format"]["type"] == "json_schema"
    landed = run.landed("results")
    assert len(landed) == 20
    assert "Caption the picture of thing 0. [image " in landed["row-0"]["output"]["caption"]
    assert landed["row-3"]["output"]["caption"].count("[image ") == 2
    assert run.xcoms["prepare", "plan"]["images"] == 21


def test_responses_take_images_too(server: Server, run: Run) -> None:
    through(run, server.model(RESPONSES, MODEL), pictures(3), endpoint=RESPONSES, model_parameters={})
    (job,) = requests_of(server)
    assert job[1]["body"]["input"] == [
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "Caption the picture of thing 1."},
                {"type": "input_image", "image_url": url_of(1), "detail": "auto"},
            ],
        }
    ]
    assert all("[image " in row["output"]["caption"] for row in run.landed("results").values())


def test_a_template_makes_the_urls_and_a_prompt_may_be_the_same_for_all(server: Server, chat_id: str, run: Run) -> None:
    rows = [{"id": f"row-{n}", "sku": f"k-{n}"} for n in range(3)]
    through(run, chat_id, rows, prompt="Caption it.", images={"url": "https://img.example/{sku}.jpg"})
    assert urls_of(server) == [[f"https://img.example/k-{n}.jpg"] for n in range(3)]
    assert {row["output"]["caption"] for row in run.landed("results").values()} == {
        f"[sandbox stand-in] {parts[0]['text']} {row}" for parts, row in zip(parts_of(server), _names(run), strict=True)
    }


def _names(run: Run) -> list[str]:
    return [row["output"]["caption"].rpartition("Caption it. ")[2] for row in run.landed("results").values()]


BAD: list[dict[str, Any]] = [
    {"id": "none", "name": "x"},
    {"id": "null", "name": "x", "photo": None},
    {"id": "empty", "name": "x", "photo": ""},
    {"id": "no-list", "name": "x", "photo": []},
    {"id": "number", "name": "x", "photo": 7},
    {"id": "half", "name": "x", "photo": [url_of(1), None]},
    {"id": "path", "name": "x", "photo": f"/photos/a.jpg?X-Amz-Signature={SECRET}"},
    {"id": "spaced", "name": "x", "photo": f" {url_of(1)}"},
    {"id": "ftp", "name": "x", "photo": f"ftp://login:{SECRET}@img.example/a.jpg"},
    {"id": "many", "name": "x", "photo": [url_of(1)] * 1501},
    {"id": "page", "name": "x", "photo": "data:text/html;base64,PGI+"},
]


def test_rows_without_a_usable_image_are_bad_rows_by_name(
    server: Server, chat_id: str, run: Run, logged: Logged
) -> None:
    rows = [*pictures(20), *BAD]
    with pytest.raises(AirflowFailException, match="11 bad rows of 31") as refused:
        run.prepare(rows, **ASKED)
    assert SECRET not in str(refused.value)
    assert "in.jsonl line 21: the row has no image in 'photo' (it has id, name)" in str(refused.value)
    skip = {"input.bad_rows": "skip", "input.max_bad_fraction": 0.5}
    bundles = run.prepare(rows, output_uri=f"file://{run.out}", overrides=skip, **ASKED)
    landed = [run.fetch(run.wait(run.submit(chat_id, bundles)), final=False)]
    report = run.execute(ReportOperator(task_id="report", planned_by="prepare", landed=landed))
    assert (report["answered"], report["failed"], report["codes"]) == (20, 11, {"bad_row": 11})
    assert set(run.landed("failures")) == {row["id"] for row in BAD}
    assert run.landed("failures")["many"]["message"] == "the row has 1501 images in 'photo', and a request takes 1500"
    assert [name for name, text in written_by(run) if SECRET in text] == []
    assert SECRET not in logged()


def test_an_image_that_the_vendor_cannot_fetch_fails_its_row_without_the_signature(
    server: Server, chat_id: str, run: Run, logged: Logged
) -> None:
    rows = pictures(10)
    rows[4]["photo"] = f"https://login:{SECRET}@photos.invalid/4.jpg?X-Amz-Signature={SECRET}&x=1"
    through(run, chat_id, rows, max_failed_fraction=0.1)
    (failure,) = run.landed("failures").values()
    assert failure == {
        "id": "row-4",
        "code": "invalid_value",
        "message": "Error while downloading https://***@photos.invalid/4.jpg?***",
    }
    assert len(run.landed("results")) == 9
    assert [name for name, text in written_by(run) if SECRET in text] == []
    assert SECRET not in logged()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/_batch_predict", {"error": {"reason": f"Error from remote service: cannot fetch {url_of(1)}", "type": "x"}}),
        ("/v1/files", {"error": {"message": f"line 1: cannot fetch {url_of(1)}"}}),
    ],
    ids=["the cluster relays it", "the vendor's SDK has it"],
)
def test_a_file_that_is_refused_for_an_image_is_named_without_the_signature(
    server: Server, chat_id: str, run: Run, logged: Logged, path: str, body: Any
) -> None:
    bundles = run.prepare(pictures(3), output_uri=f"file://{run.out}", **ASKED)
    server.fault("answer", method="POST", path=path, status=400, body=body, times=-1)
    with pytest.raises(AirflowFailException, match=r"https://img.example/1.jpg\?\*\*\*") as refused:
        run.submit(chat_id, bundles)
    said = "".join(traceback.format_exception(refused.value))
    assert SECRET not in said + logged()


def test_a_repair_round_sends_the_images_again(server: Server, chat_id: str, run: Run) -> None:
    server.fault("odd_objects", **{"as": "misfit"}, count=3)
    rounds = Rounds(run, chat_id, **ASKED, rows=pictures(10))
    rounds.shards()
    rounds.repair()
    report = rounds.report()
    assert (report["answered"], report["failed"]) == (10, 0)
    assert [len(job) for job in sent(server)] == [10, 3]
    first, again = requests_of(server)
    by_id = {line["custom_id"]: line for line in first}
    assert all(by_id[line["custom_id"]] == line for line in again)


def test_an_image_that_came_too_slowly_is_fetched_again_in_a_repair_round(
    server: Server, chat_id: str, run: Run
) -> None:
    server.fault("fail_rows", count=2, code="invalid_value", message=f"Timeout while downloading {url_of(0)}.")
    rounds = Rounds(run, chat_id, **ASKED, rows=pictures(10))
    (fetched,) = rounds.shards()
    assert fetched["landed"][0]["passing"] == {"invalid_value": 2}
    rounds.repair()
    assert rounds.report()["answered"] == 10
    assert [name for name, text in written_by(run) if SECRET in text] == []


def test_the_approval_shows_the_images_without_signature_or_content(run: Run) -> None:
    rows = pictures(3)
    rows[1]["photo"] = "data:image/png;base64," + base64.b64encode(SECRET.encode() * 100).decode()
    spec = spec_of(run, rows, limits={"ask_above_usd": 1000})
    run.prepare(rows, spec=spec, model=None, model_parameters=None, work_uri=None)
    question = ask(run)
    assert "https://img.example/0.jpg?***" in question.body
    assert "data:image/png;base64,***" in question.body
    assert "3 images not counted" in question.body
    assert SECRET not in question.model_dump_json()
    assert base64.b64encode(SECRET.encode()).decode()[:12] not in question.model_dump_json()


def test_told_tokens_count_in_plan_price_and_shards(run: Run) -> None:
    images = {"field": "photo", "tokens": 1000}
    run.prepare(pictures(10), **ASKED)
    without = run.xcoms["prepare", "plan"]
    bundles = run.prepare(pictures(10), **ASKED | {"images": images, "max_tokens": 3500, "max_cost_usd": 5})
    plan = run.xcoms["prepare", "plan"]
    rounded_up = len(bundles)
    assert 0 <= plan["estimated_tokens"] - without["estimated_tokens"] - 10_000 < rounded_up
    assert plan["estimated_usd"] > without["estimated_usd"]
    assert [shard["records"] for bundle in bundles for shard in bundle] == [3, 3, 3, 1]
    assert [shard["images"] for bundle in bundles for shard in bundle] == [3, 3, 3, 1]


TOLD: dict[str, Any] = {"images": {"field": "photo", "tokens": 1000}, "max_tokens": 3500}


def test_a_repair_round_has_shards_as_small_by_their_images(server: Server, chat_id: str, run: Run) -> None:
    rounds = Rounds(run, chat_id, 2, **ASKED | TOLD, rows=pictures(6))
    bundles, spec = rounds.bundles, run.xcoms["prepare", "spec"]
    for number in range(3):
        shards = [shard for bundle in bundles for shard in bundle]
        assert [(shard["records"], shard["images"]) for shard in shards] == [(3, 3), (3, 3)]
        assert all(3000 < shard["estimated_tokens"] <= 3500 for shard in shards)
        if number < 2:
            for _ in shards:
                server.fault("odd_objects", **{"as": "misfit"}, count=3)
            rounds.round(number, bundles)
            landed = rounds.landed[number]
            bundles = run.execute(PrepareRepairOperator(task_id=f"repair_{number}", landed=landed, spec=spec))


def test_images_count_among_the_tokens_in_flight(server: Server, chat_id: str, run: Run) -> None:
    server.pace("clock:600")
    bundles = run.prepare(pictures(9), **ASKED | TOLD)
    submit = submitting(chat_id, bundles, max_enqueued_tokens=7000, spec=run.xcoms["prepare", "spec"])
    jobs, waits = in_turns(server, run, submit)
    assert (len(jobs), waits, high_water(server)["jobs"]) == (3, 1, 2)


def test_a_data_url_of_two_megabytes_is_sent_and_its_bytes_count(server: Server, chat_id: str, run: Run) -> None:
    data = "data:image/png;base64," + base64.b64encode(bytes(2 << 20)).decode()
    rows = [{"id": f"row-{n}", "name": "zeros", "photo": data} for n in range(3)]
    bundles = run.prepare(rows, output_uri=f"file://{run.out}", **ASKED | {"max_bytes": 7_000_000})
    assert [shard["records"] for bundle in bundles for shard in bundle] == [2, 1]
    outcomes = [outcome for bundle in bundles for outcome in run.wait(run.submit(chat_id, bundle))]
    run.fetch(outcomes)
    assert set(run.landed("results")) == {"row-0", "row-1", "row-2"}
    with pytest.raises(AirflowFailException, match="Send fewer images, or a data URL's image by http"):
        run.prepare(rows, **ASKED | {"max_bytes": 2_000_000})


def test_a_list_column_of_parquet_and_a_column_that_is_not_there(server: Server, chat_id: str, run: Run) -> None:
    columns = {"id": ["a", "b"], "name": ["x", "y"], "photo": [[url_of("a"), url_of("c")], [url_of("b")]]}
    pyarrow.parquet.write_table(pyarrow.table(columns), run.folder / "in.parquet")
    through(run, chat_id, f"file://{run.folder}/in.parquet")
    assert urls_of(server) == [[url_of("a"), url_of("c")], [url_of("b")]]
    with pytest.raises(AirflowFailException, match=r"no column 'picture'; .*Correct .*input\.images"):
        run.prepare(f"file://{run.folder}/in.parquet", **ASKED | {"images": {"field": "picture"}})
    with pytest.raises(AirflowFailException, match="no column 'sku'"):
        run.prepare(f"file://{run.folder}/in.parquet", **ASKED | {"images": {"url": "https://img.example/{sku}"}})


def test_a_column_of_csv(server: Server, chat_id: str, run: Run) -> None:
    text = io.StringIO()
    csv.writer(text).writerows(
        [("id", "name", "photo.url"), ("a", "x", url_of("a")), ("b", "ü", "https://img.example/猫")]
    )
    run.write(text.getvalue().encode(), "in.csv")
    through(run, chat_id, f"file://{run.folder}/in.csv", images={"field": "photo.url"})
    assert urls_of(server) == [[url_of("a")], ["https://img.example/猫"]]


def test_a_column_of_a_database(server: Server, chat_id: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with sqlite3.connect(run.folder / "shop.db") as db:
        db.execute("CREATE TABLE things (id TEXT, name TEXT, photo TEXT, price REAL)")
        db.executemany("INSERT INTO things VALUES (?, ?, ?, 1)", [("a", "x", url_of("a")), ("b", "y", url_of("b"))])
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps({"conn_type": "sqlite", "host": f"{run.folder}/shop.db"}))
    through(run, chat_id, "sql://shop", overrides={"input.query": "SELECT * FROM things ORDER BY id"})
    assert urls_of(server) == [[url_of("a")], [url_of("b")]]


def documents(server: Server, **found: dict[str, Any]) -> None:
    keyword, text = {"type": "keyword"}, {"type": "text"}
    fields = {"name": text, "body": text, "photo": keyword, "media": {"properties": {"cover": keyword}}}
    server.ask("PUT", "/things", {"mappings": {"properties": fields}})
    for name, document in found.items():
        server.ask("PUT", f"/things/_doc/{name}?refresh=true", document)


INDEX = "opensearch://opensearch_default/things"


def test_documents_of_an_index_are_read_with_their_images(server: Server, chat_id: str, run: Run) -> None:
    documents(
        server,
        a={"name": "x", "body": "not asked for", "media": {"cover": url_of("a")}},
        b={"media": {"cover": [url_of("b"), url_of("c")]}},
        empty={"body": "neither name nor image"},
    )
    through(run, chat_id, INDEX, images={"field": "media.cover"})
    assert sorted(urls_of(server)) == [[url_of("a")], [url_of("b"), url_of("c")]]
    assert {parts[0]["text"] for parts in parts_of(server)} == {
        "Caption the picture of x.", "Caption the picture of ."
    }  # fmt: skip
    assert set(run.landed("results")) == {"a", "b"}
    assert run.xcoms["prepare", "plan"]["empty"] == 1


def test_the_url_in_each_object_of_a_list_is_read(server: Server, chat_id: str, run: Run) -> None:
    documents(server, a={"media": [{"cover": url_of("a")}, {"cover": url_of("b")}]}, empty={"media": [{}]})
    through(run, chat_id, INDEX, images={"field": "media.cover"})
    assert urls_of(server) == [[url_of("a"), url_of("b")]]
    assert run.xcoms["prepare", "plan"]["empty"] == 1


def test_documents_may_share_a_prompt_and_one_without_an_image_is_bad(server: Server, chat_id: str, run: Run) -> None:
    documents(server, a={"photo": url_of("a")}, b={"name": "b", "photo": url_of("b")})
    through(run, chat_id, INDEX, prompt="Caption it.")
    assert sorted(urls_of(server)) == [[url_of("a")], [url_of("b")]]
    server.ask("PUT", "/things/_doc/c?refresh=true", {"name": "c"})
    with pytest.raises(AirflowFailException, match=r"1 bad row of 3 .*\n.*document 3: the row has no image in 'photo'"):
        run.prepare(INDEX, **ASKED)


@pytest.mark.parametrize(
    ("field", "says"),
    [("media", "'media' is an object; name the field in it, e.g. media.cover"), ("foto", "has no field 'foto'")],
)
def test_a_field_that_the_index_does_not_have_is_refused(server: Server, run: Run, field: str, says: str) -> None:
    documents(server, a={"name": "x", "photo": url_of("a")})
    server.ask("PUT", "/things/_mapping", {"dynamic": "strict"})
    with pytest.raises(AirflowFailException, match=says):
        run.prepare(INDEX, **ASKED | {"images": {"field": field}})


def test_the_field_of_the_images_may_be_included_where_the_spec_says_so(server: Server, chat_id: str, run: Run) -> None:
    through(run, chat_id, pictures(2), overrides={"output.include": ["photo"]})
    assert {row["photo"] for row in run.landed("results").values()} == {url_of(0), url_of(1)}


def test_work_is_where_the_urls_lie(run: Run) -> None:
    run.prepare(pictures(2), **ASKED)
    holders = [
        path.name for path in Path(run.folder / "work").rglob("*") if path.is_file() and SECRET in path.read_text()
    ]
    assert holders == ["shard-00000.jsonl"]


def test_rows_with_images_that_no_batch_has_answered_in_time_are_named(server: Server, chat_id: str, run: Run) -> None:
    server.fault("cancel", fraction=0.4)
    asked = {name: spec_of(run, pictures(10))[name] for name in ("model", "input")}
    flow = Flow(run, chat_id, pictures(10), sections={**asked, "limits": {"max_failed_fraction": 1.0}})
    flow.round()
    time_is_up(run)
    report = flow.report(flow.answer())
    assert figures(report) == {"answered": 4, "failed": 6, "left": 6}
    assert {row["code"] for row in run.landed("failures").values()} == {"batch_cancelled"}


def test_an_erased_row_is_gone_with_its_images(server: Server, chat_id: str, run: Run) -> None:
    rows = [*pictures(5), {"id": "person", "name": "a person", "photo": url_of("person")}]
    model = {"name": MODEL, "endpoint": CHAT, "parameters": {"max_tokens": 50}}
    reads = {"uri": run.write(rows), "prompt": "Caption {name}.", "images": {"field": "photo"}}
    spec = erased_through(run, chat_id, rows, model=model, input=reads, output={"include": []})
    assert provider_has(server, "person.jpg")
    proof = erase(run.folder, spec)
    assert (proof["state"], kinds(proof)) == ("erased", {"provider file", "work file", "results"})
    assert not provider_has(server, "person.jpg")
    left = [path.name for path in run.folder.rglob("*") if path.is_file() and b"person.jpg" in path.read_bytes()]
    assert left == ["in.jsonl"]


@pytest.mark.parametrize("forget", ["document", "text"])
def test_a_document_whose_text_is_forgotten_keeps_its_images_and_the_proof_says_so(
    server: Server, chat_id: str, run: Run, forget: str
) -> None:
    documents(server, person={"name": "a person", "photo": url_of("person")})
    model = {"name": MODEL, "endpoint": CHAT, "parameters": {"max_tokens": 50}}
    reads = {"uri": INDEX, "prompt": "Caption {name}.", "images": {"field": "photo"}}
    spec = erased_through(run, chat_id, [], model=model, input=reads, output={"include": []})
    proof = erase(run.folder, spec, forget=forget)
    assert not provider_has(server, "person.jpg")
    said = any("photo of the document, where its images are" in each["what"] for each in proof["not_removed"])
    assert said == (forget == "text")
    kept = server.http.get("/things/_doc/person")
    assert kept.is_success == (forget == "text")
    if kept.is_success:
        assert kept.json()["_source"] == {"name": None, "photo": url_of("person")}
