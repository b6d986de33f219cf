"""Texts with a schema on real Airflow processes: the demo's labels, repaired and as a table; captions of pictures."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from opensearch_batch import results
from opensearch_batch.spec import BatchSpec
from stack.run import DagRun
from tests.e2e.exposed import files, tables
from tests.e2e.test_repair import manifest_of, requests_since, sent_since
from tests.e2e.test_runs import box

if TYPE_CHECKING:
    from stack.stack import Stack
    from tests.e2e.test_runs import Box

__all__ = ["box"]

pytestmark = pytest.mark.e2e

ROWS, ODD = 200, 3


def test_docstrings_are_labelled_and_what_did_not_fit_is_asked_again(stack: Stack, box: Box) -> None:
    known = {job["id"] for job in box.ledger()}
    box.order("odd_objects", **{"as": "misfit", "count": ODD})
    run = DagRun.trigger(stack, "label_stdlib_docs")

    assert run.wait() == "success"
    report = run.xcom("report")
    counts = {name: report[name] for name in ("records", "answered", "failed", "missing", "repaired")}
    assert counts == {
        "records": ROWS, "answered": ROWS, "failed": 0, "missing": 0, "repaired": ODD
    }  # fmt: skip
    assert report["passing"] == {"invalid_output": ODD}
    assert [len(job) for job in sent_since(stack, box, known)] == [ROWS, ODD]
    spec = BatchSpec.check(run.xcom("prepare_input", key="spec"))
    assert (spec.input.template or "").startswith('<entry name="{{ id | e }}">'), "Airflow has not filled it in"
    table = results.open(report["manifest"]).to_arrow()
    assert table.num_rows == ROWS
    assert isinstance(spec.model.output_schema, dict)
    properties = spec.model.output_schema["properties"]
    assert set(properties) <= set(table.column_names)
    assert set(table["topic"].to_pylist()) <= set(properties["topic"]["enum"])
    assert str(table.schema.field("difficulty").type) == "int64"


PICTURED, SIGNATURE = 20, "notARealSignature7c1e"


def write_photos(stack: Stack) -> None:
    """Each of two views, but for the last, which has none: a bad row."""
    folder = stack.home.data / "photo_captions"
    folder.mkdir()
    urls = [f"https://img.example/{n}/%s.jpg?X-Amz-Signature={SIGNATURE}" for n in range(PICTURED)]
    views = [[{"url": url % side} for side in ("front", "back")] for url in urls]
    rows = [{"id": f"p{n}", "name": f"thing {n}", "views": views[n]} for n in range(PICTURED)]
    rows[-1]["views"] = []
    (folder / "photos.jsonl").write_text("\n".join(map(json.dumps, rows)))


def test_pictures_are_captioned_and_their_signatures_stay_where_the_requests_are(stack: Stack, box: Box) -> None:
    known = {job["id"] for job in box.ledger()}
    write_photos(stack)
    run = DagRun.trigger(stack, "batch_inference", {"spec": "photo_captions"})

    assert run.wait() == "success"
    plan, report = run.xcom("prepare_input", key="plan"), run.xcom("report")
    assert (plan["images"], plan["image_tokens"], plan["bad_rows"]) == (2 * (PICTURED - 1), 85, 1)
    assert (report["answered"], report["missing"]) == (PICTURED - 1, 0)
    _, landed = manifest_of(stack, run)
    assert sorted(landed["results"]) == sorted(f"p{n}" for n in range(PICTURED - 1))
    assert landed["failures"] == [f"p{PICTURED - 1}"]
    assert {row["output"]["kind"] for row in results.open(report["manifest"])} <= {"photo", "drawing"}

    (job,) = requests_since(stack, box, known)
    for line in job:
        text, *images = line["body"]["messages"][-1]["content"]
        assert text == {"type": "text", "text": f"Caption the pictures of thing {line['custom_id'][1:]}."}
        urls = [image["image_url"]["url"] for image in images]
        assert [url.rpartition("/")[2].partition(".")[0] for url in urls] == ["front", "back"]
        assert all(url.endswith(SIGNATURE) for url in urls)
    data = str(stack.home.data.relative_to(stack.home.path))
    may = (f"{data}/photo_captions/photos.jsonl", f"{data}/work/")
    signed = [place for place, content in (*files(stack), *tables(stack)) if SIGNATURE.encode() in content]
    assert signed, "the search finds them"
    assert [place for place in signed if not place.startswith(may)] == []
