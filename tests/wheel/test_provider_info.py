"""What the wheel registers is what Airflow's schemas and its provider manager take, and what the code has."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import airflow as airflow_package
import jsonschema
import pytest
from airflow._shared.module_loading import import_string

from opensearch_batch.provider_info import get_provider_info
from tests.wheel.conftest import Found

INFO = get_provider_info()
TYPES = {each["connection-type"]: each for each in INFO["connection-types"]}
MODULES = [name for key in ("operators", "sensors", "hooks", "triggers") for name in INFO[key][0]["python-modules"]]


def _schema(name: str) -> Any:
    return json.loads((Path(airflow_package.__path__[0]) / name).read_text(encoding="utf-8"))


def test_airflows_schema_takes_it() -> None:
    jsonschema.validate(INFO, _schema("provider_info.schema.json"))


def test_the_forms_are_as_the_stricter_schema_of_airflows_own_providers_has_them() -> None:
    schema = _schema("provider.yaml.schema.json")
    forms = {"$ref": "#/properties/connection-types", "properties": schema["properties"]}
    jsonschema.validate(INFO["connection-types"], forms)
    broken = [{**TYPES["opensearch_ml"], "conn-fields": {"sigv4": {"label": "SigV4"}}}]
    with pytest.raises(jsonschema.ValidationError, match="'schema' is a required property"):
        jsonschema.validate(broken, forms)


@pytest.mark.parametrize("name", TYPES)
def test_the_hook_of_each_type_says_the_same_of_itself(name: str) -> None:
    hook = import_string(TYPES[name]["hook-class-name"])
    assert (hook.conn_type, hook.hook_name) == (name, TYPES[name]["hook-name"])
    assert "another" in vars(hook(**{hook.conn_name_attr: "another"})).values()


@pytest.mark.parametrize("name", MODULES)
def test_each_module_it_names_is_there(name: str) -> None:
    assert import_module(name).__doc__


def test_the_fields_of_the_clusters_form_are_the_hooks_own_options() -> None:
    from opensearch_batch.cluster.address import OWN_OPTIONS

    assert set(TYPES["opensearch_ml"]["conn-fields"]) == set(OWN_OPTIONS) - {"use_ssl"}


def test_airflow_lists_provider_hooks_links_and_fields(with_wheel: Found) -> None:
    listed = with_wheel.listed
    assert listed["version"] == INFO["versions"][0]
    assert listed["hooks"] == {name: each["hook-class-name"] for name, each in TYPES.items()}
    assert set(listed["testable"]) == set(TYPES) <= set(listed["forms"])
    assert sorted(listed["links"]) == sorted(INFO["extra-links"])
    fields = {f"extra__{name}__{field}" for name, each in TYPES.items() for field in each["conn-fields"]}
    assert fields <= set(listed["fields"])
    assert "opensearch" not in with_wheel.warnings
