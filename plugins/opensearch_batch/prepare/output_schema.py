"""The output schema of a spec: read from where the spec says, refused where no answer could be checked by it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import orjson
from msgspec import UNSET
from pydantic import BaseModel

from opensearch_batch import providers
from opensearch_batch.errors import SpecError
from opensearch_batch.flow.output_schema import OutputSchema
from opensearch_batch.prepare.json_schema import columns_of, refuse_no_schema
from opensearch_batch.spec import RESERVED, BatchSpec
from opensearch_batch.storage import exists, open_binary, write_object

WHERE = "model.output_schema"
SCHEMA_FILE = "output-schema.json"
"""In the folder of a preparation."""


def output_schema_of(spec: BatchSpec) -> OutputSchema | None:
    """Return what `model.output_schema` names: an object, a JSON file or a pydantic model; None where it names nothing.

    Raise SpecError for what is no schema of an object, and for a property that a Parquet file has already.
    """
    if (said := spec.model.output_schema) is None:
        return None
    if isinstance(said, dict):
        made = _of_schema(said, WHERE)
    elif "://" in said:
        made = _of_schema(_read(said), f"{WHERE} {said}")
    else:
        made = _of_model(said)
    if spec.output.format == "parquet":
        _refuse_taken(made, spec)
    return made


def parameters_of(spec: BatchSpec, schema: OutputSchema | None) -> dict[str, Any]:
    """Return what is sent with every row: the model's parameters, the system prompt and the schema as the vendor takes
    both. Raise SpecError where the vendor takes the system prompt in no parameter.
    """
    model, vendor = spec.model, providers.get(spec.model.provider)
    made = dict(model.parameters)
    if model.system_prompt is not None:
        made = vendor.with_system_prompt(model.name, model.endpoint, made, model.system_prompt)
    return made if schema is None else vendor.with_schema(model.name, model.endpoint, made, schema.schema)


def bytes_on_top(spec: BatchSpec, parameters: Mapping[str, Any]) -> int:
    """Return the bytes that `parameters_of` says with every row: system prompt and schema, messages, instructions,
    tools. The vendor bills them as input. All texts, lists and objects count, a word of a setting too; 0 for vectors,
    whose parameters are settings alone.
    """
    model = spec.model
    if providers.get(model.provider).asked(model.name, model.endpoint, parameters).vectors:
        return 0
    return sum(len(orjson.dumps(said)) for said in parameters.values() if isinstance(said, str | list | dict))


def keep(schema: OutputSchema, folder: str) -> str:
    """Write the schema for those that land the answers; return its URI."""
    uri = f"{folder}/{SCHEMA_FILE}"
    write_object(uri, orjson.dumps(schema.to_dict()))
    return uri


def model_at(path: str) -> type[BaseModel]:
    """Return the pydantic model at an import path. Raise SpecError where there is none."""
    module, _, name = path.rpartition(".")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise SpecError(
            f"{WHERE} {path}: {error}. A worker imports it: put the module where workers find their modules"
        ) from None
    if not (isinstance(found, type) and issubclass(found, BaseModel)):
        raise SpecError(f"{WHERE} {path} is {found!r}, and no pydantic model")
    return found


def _of_schema(schema: Any, where: str) -> OutputSchema:
    refuse_no_schema(schema, where)
    return OutputSchema(schema, columns_of(schema), UNSET)


def _of_model(path: str) -> OutputSchema:
    """The columns are those of what a model writes, which may be other than what it reads."""
    model = model_at(path)
    schema, written = model.model_json_schema(), model.model_json_schema(mode="serialization")
    refuse_no_schema(schema, f"{WHERE} {path}")
    refuse_no_schema(written, f"{WHERE} {path}, as it is written")
    return OutputSchema(schema, columns_of(written), path)


def _read(uri: str) -> Any:
    if not exists(uri):
        raise SpecError(f"{WHERE}: there is no object {uri}")
    with open_binary(uri) as source:
        try:
            return orjson.loads(source.read())
        except orjson.JSONDecodeError as error:
            raise SpecError(f"{WHERE}: {uri} is no JSON: {error}") from None


def _refuse_taken(schema: OutputSchema, spec: BatchSpec) -> None:
    if taken := sorted({*RESERVED, *spec.output.include} & set(schema.columns)):
        raise SpecError(
            f"{WHERE}: a Parquet result has its own {', '.join(taken)}; give the properties other names, or say "
            "output.format: jsonl, where they stand inside output"
        )
