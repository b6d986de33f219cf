"""What a process sees in S3 of the objects that others have written, changed or removed since its last look."""

from __future__ import annotations

import json
from typing import Any

import pytest

from opensearch_batch import results, storage
from opensearch_batch.errors import InputError
from tests.sandbox.bench import Run, rows_of
from tests.sandbox.in_s3 import BASE, put
from tests.vendors.vendors import BUCKET


def test_each_look_sees_what_other_processes_have_done_since_the_last(s3: Any) -> None:
    folder = f"{BASE}/shared"
    put(s3, "shared/a.json", [{"id": "1"}])
    assert storage.names_in(folder) == ["a.json"]
    put(s3, "shared/a.json", [{"id": "1", "more": "than before"}])
    put(s3, "shared/b.json", [{"id": "2"}])
    assert storage.names_in(folder) == ["a.json", "b.json"]
    assert storage.matches(f"{folder}/*.json") == [f"{folder}/a.json", f"{folder}/b.json"]
    assert storage.exists(f"{folder}/b.json")
    with storage.open_binary(f"{folder}/a.json") as source:
        assert json.loads(source.read()) == {"id": "1", "more": "than before"}
    s3.delete_object(Bucket=BUCKET, Key="shared/a.json")
    assert not storage.exists(f"{folder}/a.json")


def test_who_waits_for_results_sees_them_when_they_are_there(s3: Any, model_id: str, run: Run) -> None:
    """A notebook that asks again and again lists the folder at the first look."""
    put(s3, "out/notes.txt", [])
    with pytest.raises(InputError, match="no such object"):
        results.open(f"{BASE}/out/manifest.json")
    run.through(model_id, rows_of(3))
    for path in run.out.iterdir():  # as a task on another machine lands them
        s3.put_object(Bucket=BUCKET, Key=f"out/{path.name}", Body=path.read_bytes())
    assert len(results.open(f"{BASE}/out/manifest.json")) == 3
