"""An output schema as YAML reads it: what a schema means otherwise is refused by its path, with the right form."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from opensearch_batch.errors import SpecError
from opensearch_batch.prepare.json_schema import refuse_no_schema


def schema(properties: str) -> Any:
    return {"type": "object", "properties": yaml.safe_load(properties)}


@pytest.mark.parametrize(
    ("properties", "says"),
    [
        ("{summary: {type: [string, null]}}", "at $.properties.summary.type: null without quotes is nothing in YAML"),
        (
            "{summary: {type: null}}",
            'at $.properties.summary.type: null without quotes is nothing in YAML. Write "null"',
        ),
        ("{default: {type: [string, ~]}}", "at $.properties.default.type: null without quotes"),
        ("{parts: {type: array, items: {type: [string, null]}}}", "at $.properties.parts.items.type: null"),
        ("{a: {anyOf: [{type: string}, {type: null}]}}", "at $.properties.a.anyOf[1].type: null"),
        (
            "{sure: {type: string, enum: [yes, no, perhaps]}}",
            "at $.properties.sure.enum: True is no text. YAML reads yes",
        ),
        ("{sure: {type: [string, 'null'], enum: [yes, no]}}", "at $.properties.sure.enum: True is no text"),
        ("{sure: {enum: [yes, perhaps]}}", "at $.properties.sure.enum: True is no text"),
        ("{sure: {type: string, const: no}}", "at $.properties.sure.const: False is no text"),
    ],
)
def test_what_yaml_reads_otherwise_is_refused_with_the_right_form(properties: str, says: str) -> None:
    with pytest.raises(SpecError, match=re.escape(f"model.output_schema: {says}")):
        refuse_no_schema(schema(properties), "model.output_schema")


@pytest.mark.parametrize(
    "properties",
    [
        '{summary: {type: [string, "null"]}}',
        '{sure: {type: string, enum: ["yes", "no"]}}',
        "{sure: {type: boolean, enum: [yes]}}",
        "{sure: {type: [boolean, string], enum: [yes, perhaps]}}",
        "{sure: {enum: [1, true]}}",
        "{a: {type: [string, 'null'], enum: [x, null]}}",
        "{a: {type: object, default: {type: null}}}",
        "{type: {type: string}, enum: {type: string}}",
    ],
)
def test_what_a_schema_may_say_is_taken(properties: str) -> None:
    refuse_no_schema(schema(properties), "model.output_schema")
