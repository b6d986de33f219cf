"""The table of versions: what is said in it is understood, what it names exists, and its page is up to date."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from docs_build.versions import versions_text
from opensearch_batch.cluster import ml_commons
from opensearch_batch.cluster.ml_commons import Call
from opensearch_batch.cluster.replies import read_reply
from opensearch_batch.cluster.versions import SOURCE, VERSION_NOTES, Said, VersionNote
from opensearch_batch.errors import BatchError

ROOT = Path(__file__).parents[2]
CALLS: dict[str, Call] = {
    "submit": ml_commons.batch_predict("model-1", {"input_file_id": "file-1"}),
    "look": ml_commons.get_task("task-1"),
    "write": ml_commons.create_connector({"name": "c"}),
}


@pytest.mark.parametrize(
    ("name", "said"), [(note.name, said) for note in VERSION_NOTES for said in note.said], ids=lambda value: str(value)
)
def test_a_version_is_understood(name: str, said: Said) -> None:
    if said.kind:
        cause = {"type": said.kind, "reason": said.cause or said.reason}
        body = {"error": {"root_cause": [cause], "type": said.kind, "reason": said.reason}, "status": said.status}
    else:
        body = {"error": said.reason}
    with pytest.raises(BatchError) as caught:
        read_reply(CALLS[said.purpose], said.status, json.dumps(body), {})
    assert type(caught.value) is said.means


@pytest.mark.parametrize("note", VERSION_NOTES, ids=lambda note: str(note.name))
def test_a_note_has_a_public_source_and_a_test_that_exists(note: VersionNote) -> None:
    assert note.source.startswith("https://github.com/opensearch-project/ml-commons/")
    if note.known != SOURCE:
        path, _, name = note.known.partition("::")
        assert f"def {name}(" in (ROOT / path).read_text()


def test_the_names_are_different() -> None:
    assert len({note.name for note in VERSION_NOTES}) == len(VERSION_NOTES)


def test_the_page_is_the_table() -> None:
    """Made anew by: python -m docs_build"""
    assert (ROOT / "docs" / "versions.md").read_text() == versions_text()
