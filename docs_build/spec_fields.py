"""docs/reference/spec.md: each field of a spec with its default, and what each provider's own bounds are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from docs_build.tables import MADE, code, table
from opensearch_batch.providers import PROVIDERS
from opensearch_batch.providers.protocol import Provider
from opensearch_batch.spec import BatchSpec
from opensearch_batch.wrong_field import section_of

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

HEAD = f"""# A spec, field by field

{MADE}

A spec is a YAML file: what a person writes down about one batch. An unknown key is an error that names the section
where the key belongs, or the nearest right key; a value of another form is an error with the form that is expected.
Editors get completion from [batch_spec.schema.json](../../dags/specs/batch_spec.schema.json), which the
first line of a spec names:

```yaml
# yaml-language-server: $schema=batch_spec.schema.json
```

A field without a default has to be given. An empty default means: see the meaning.
"""

BOUNDS_HEAD = """## What the providers allow

The bounds of each provider, which the fields above may only lower (`limits.min_requests` and
`limits.max_provider_bytes` say what your account has). A wait's default deadline is the window and one hour more.
"""

JOB_HEAD = """## `model.job`

What a vendor's jobs need besides their rows. Providers that are not named here need nothing. What each field is for:
[SageMaker](../providers/sagemaker.md), [Bedrock](../providers/bedrock.md).
"""

PLACEHOLDERS = """## Placeholders

`{partition}` is the first of these that there is:

1. `partition` in the run's conf;
2. the run's partition key;
3. the start of its data interval, written as `input.partition_format` says;
4. for a run started without a date, the last complete interval of the schedule.

A conf may have `partition` and the DAG's params. `prepare_input` refuses any other key, because a mistyped `row` for
`rows` would order everything. A cron string alone gives an interval of no length in Airflow 3: use
`CronDataIntervalTimetable`, as [nightly_batch.py](../../dags/nightly_batch.py) does.

`{run_id}` is the run's id, with each character that a path may not have as a hyphen. `${NAME}` is an environment
variable of the worker. `{3}` is no placeholder, but stays as it is, e.g. in `{regexp: {sku: "[a-z]{3}"}}`.
"""


def spec_text() -> str:
    return "\n".join([HEAD, _fields_table(BatchSpec), "", PLACEHOLDERS, BOUNDS_HEAD, _bounds(), "", JOB_HEAD, _jobs()])


def fields(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """With dotted names, those of sections instead of the sections; before these a section that may be left out."""
    for name, field in model.model_fields.items():
        section = section_of(field)
        if section is None or field.default is None:
            yield prefix + name, field
        if section is not None:
            yield from fields(section, f"{prefix}{name}.")


def _fields_table(model: type[BaseModel]) -> str:
    rows = [(code(name), _default(field), field.description or "") for name, field in fields(model)]
    return table(["field", "default", "meaning"], rows)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default is None or field.default == {}:
        return ""
    return code(field.default if isinstance(field.default, str) else json.dumps(field.default))


BOUNDS: tuple[tuple[str, str], ...] = (
    ("connection", "CONNECTION"),
    ("endpoints", "ENDPOINTS"),
    ("fewest requests a shard", "MIN_REQUESTS"),
    ("most requests a shard", "MAX_REQUESTS"),
    ("most bytes a shard", "MAX_BYTES"),
    ("most texts a shard", "MAX_INPUTS"),
    ("most texts a request", "MAX_TEXTS_A_REQUEST"),
    ("bytes of all files at the provider", "STORAGE_BYTES"),
    ("window, hours", "window_hours"),
    ("price of a batch over list price", "BATCH_PRICE_FACTOR"),
)


def _bounds() -> str:
    rows = [[title, *(_bound(provider, name) for provider in PROVIDERS)] for title, name in BOUNDS]
    return table(["", *(code(provider.NAME) for provider in PROVIDERS)], rows)


def _bound(provider: Provider, name: str) -> str:
    value: Any = provider.window_hours({}) if name == "window_hours" else getattr(provider, name)
    if name == "BATCH_PRICE_FACTOR" and provider.PRICE_ID is None:
        return "bills machines"
    if name == "MAX_TEXTS_A_REQUEST":
        return ", ".join(f"{most:,} ({endpoint})" for endpoint, most in value.items()) or "1"
    if name == "ENDPOINTS":
        return ", ".join(map(code, value))
    if value is None:
        return "not bounded"
    return code(value) if isinstance(value, str) else f"{value:,g}" if isinstance(value, float) else f"{value:,}"


def _jobs() -> str:
    parts = [
        f"### `provider: {provider.NAME}`\n\n{_fields_table(provider.JobSettings)}\n"
        for provider in PROVIDERS
        if provider.JobSettings.model_fields
    ]
    return "\n".join(parts)
