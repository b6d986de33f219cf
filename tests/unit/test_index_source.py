"""Fields of which documents have nothing in their _source, by the mapping of their index."""

from __future__ import annotations

from typing import Any

import pytest

from opensearch_batch.prepare.index_source import why_not_in_source

TEXT = {"type": "text"}
COPYING = {"title": {**TEXT, "copy_to": "all"}, "about": {"properties": {"note": {**TEXT, "copy_to": ["about.all"]}}}}


@pytest.mark.parametrize(
    ("mapping", "path", "field", "why"),
    [
        ({}, "headline", {"type": "alias", "path": "title"}, "documents have only 'title': name that"),
        ({"properties": COPYING}, "all", TEXT, "filled by copy_to, and documents have only 'title'"),
        ({"properties": COPYING}, "about.all", TEXT, "documents have only 'about.note'"),
        ({"_source": {"enabled": False}}, "body", TEXT, "keeps 'body' out of _source"),
        ({"_source": {"excludes": ["body"]}}, "body", TEXT, "out of _source"),
        ({"_source": {"excludes": ["about"]}}, "about.body", TEXT, "out of _source"),
        ({"_source": {"excludes": ["*.body"]}}, "about.body", TEXT, "out of _source"),
        ({"_source": {"includes": ["title", "about.t*"]}}, "about.body", TEXT, "out of _source"),
        ({"_source": {"excludes": ["bod", "body.*", "[body]"]}}, "body", TEXT, None),
        ({"_source": {"includes": ["about.*"]}}, "about.body", TEXT, None),
        ({"_source": {"includes": ["about"]}}, "about.body", TEXT, None),
        ({"properties": COPYING}, "title", TEXT, None),
        ({}, "body", {}, None),
    ],
)
def test_a_field_that_no_document_has_is_told_with_what_to_name(
    mapping: dict[str, Any], path: str, field: dict[str, Any], why: str | None
) -> None:
    said = why_not_in_source(mapping, path, field)
    assert said is None if why is None else said is not None and why in said
