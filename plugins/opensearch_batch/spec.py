"""BatchSpec: what a person writes down about one batch, checked field by field before anything runs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from opensearch_batch import providers
from opensearch_batch.errors import SpecError


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelSection(_Section):
    """The hosted model, and the names it has in the cluster."""

    provider: str = Field(
        providers.DEFAULT.NAME,
        description="Vendor whose API is spoken; a compatible server counts as that vendor. Also the name of a "
        "provider from another package.",
    )
    name: str = Field(description="The vendor's model id.", examples=["text-embedding-3-small"])
    endpoint: str = Field(
        "/v1/embeddings",
        description="API path that each row is sent to; default: the provider's first.",
    )
    parameters: dict[str, Any] = Field(
        {},
        description="Sent with every row, e.g. dimensions or max_tokens. encoding_format: base64 makes an embeddings "
        "output a quarter as large, and stays out of the connector.",
    )
    job: dict[str, Any] = Field(
        {},
        description="What the vendor's job needs besides its rows, e.g. files_uri; the provider's page in "
        "docs/providers lists the keys.",
    )
    texts_per_request: int = Field(
        1,
        ge=1,
        description="Texts a request, for embeddings: fewer lines. A text that the provider refuses fails its whole "
        "request; a repair round then sends its rows alone. At most the provider's. A task holds a request's whole "
        "answer in memory, times four.",
    )
    registered_as: str | None = Field(
        None,
        description="Name of connector and model in OpenSearch; default: the spec's name. Specs that share a model "
        "share this name.",
    )
    group: str = Field("opensearch-batch", description="Model group; created when absent.")
    on_change: Literal["error", "redeploy"] = Field(
        "error",
        description="When the cluster's connector differs from this spec: error shows the difference, redeploy "
        "replaces the connector, and searches fail for the seconds between.",
    )

    @model_validator(mode="before")
    @classmethod
    def _default_endpoint(cls, values: Any) -> Any:
        if isinstance(values, dict) and "endpoint" not in values and isinstance(name := values.get("provider"), str):
            return {**values, "endpoint": providers.get(name).ENDPOINTS[0]}
        return values

    @model_validator(mode="after")
    def _known(self) -> ModelSection:
        provider = providers.get(self.provider)
        try:
            provider.JobSettings.model_validate(self.job)
        except ValidationError as error:
            raise SpecError(
                "; ".join(f"model.job.{_explain(item, provider.JobSettings)}" for item in error.errors())
            ) from None
        if self.endpoint not in provider.ENDPOINTS:
            raise SpecError(f"model.endpoint {self.endpoint!r} is not one of {', '.join(provider.ENDPOINTS)}")
        if self.texts_per_request > (most := provider.MAX_TEXTS_A_REQUEST.get(self.endpoint, 1)):
            raise SpecError(f"model.texts_per_request is {self.texts_per_request}; {self.endpoint} allows {most}")
        return self


class InputSection(_Section):
    """JSON Lines. `{partition}` and `{run_id}` are filled in per run; a glob reads its files in name order."""

    uri: str = Field(
        description="JSON Lines at file://… or on any object storage that Airflow knows (s3://conn@bucket/key). A glob "
        "reads its files in name order. {partition} and {run_id} are filled in, ${VARIABLES} come from the worker's "
        "environment.",
    )
    id_field: str = Field("id", description="Field with the row's id: unique in the run; text or a whole number.")
    text_field: str = Field("text", description="Field with the text to send.")
    prompt: str | None = Field(
        None, description='Template over the row\'s fields, e.g. "Summarise: {text}"; replaces text_field.'
    )
    max_records: int | None = Field(None, ge=1, description="Read at most this many rows.")
    allow_empty: bool | None = Field(
        None,
        description="Whether a run without rows is a success; default: true where uri has {partition}, else false. A "
        "glob without matches has no rows; a single file must exist.",
    )
    partition_format: str = Field("%Y-%m-%d", description="strftime of the data interval's start, for {partition}.")


class OutputSection(_Section):
    """Where results, failures and the manifest land."""

    uri: str = Field(description="A folder of this run or partition; {partition} and {run_id} are filled in.")
    format: Literal["jsonl", "parquet"] = Field(
        "jsonl",
        description="Format of the results; failures are always JSON Lines. parquet needs pyarrow and holds vectors as "
        "fixed-size lists of float32, the usage, and each row's model, run, shard and batch.",
    )
    keep_provider_files_days: float | None = Field(
        None,
        ge=0,
        description="Days after the manifest was written from which clean_provider may delete the run's files at the "
        "provider; default: keep them.",
    )


class LimitSection(_Section):
    """Lower than the provider's own limits, or money."""

    min_requests: int | None = Field(
        None,
        ge=1,
        description="Fewest requests a job may have at the provider; default: what the vendor publishes.",
    )
    max_requests: int | None = Field(
        None,
        ge=1,
        description="Requests a shard; a request is a row by default. Default: the provider's.",
    )
    max_bytes: int | None = Field(None, ge=1, description="Bytes a shard; default: the provider's.")
    max_inputs: int | None = Field(
        None,
        ge=1,
        description="Texts a shard, where a request has several; default: the provider's.",
    )
    max_tokens: int | None = Field(
        None,
        ge=1,
        description="Estimated input tokens a shard (bytes / 4), e.g. to stay below what the provider lets one model "
        "have enqueued; default: no limit.",
    )
    max_provider_bytes: int | None = Field(
        None,
        ge=1,
        description="Bytes that all files at the provider may have together; default: what the vendor publishes. A "
        "run whose input files do not fit is refused before the first upload.",
    )
    max_jobs_in_flight: int | None = Field(
        None,
        ge=1,
        description="Live jobs of the model at the provider, over all runs and backfills; needs a pool of one slot. "
        "Default: no limit.",
    )
    max_enqueued_tokens: int | None = Field(
        None,
        ge=1,
        description="Tokens of the live jobs together, a job counted as its input file's bytes / 4; bounds a shard "
        "too, and needs a pool of one slot. Default: no limit.",
    )
    usd_per_million_tokens: float | None = Field(
        None,
        ge=0,
        description="Batch price; default: the list price of genai-prices, times the vendor's factor for batches.",
    )
    usd_per_instance_hour: float | None = Field(
        None, ge=0, description="Price of a machine, where the provider bills machines; for the report."
    )
    max_cost_usd: float | None = Field(
        None,
        ge=0,
        description="A plan estimated above this (bytes / 4 tokens in, max_tokens a row out) is refused before the "
        "upload, as is a model whose price is not known: give usd_per_million_tokens. Default: no limit.",
    )
    max_failed_fraction: float = Field(
        0.0, ge=0, le=1, description="Share of rows that may fail for a named reason before the run fails."
    )
    repair_rounds: int = Field(
        1,
        ge=0,
        le=3,
        description="Rounds, at most 3, in which rows that expired, were cancelled, are missing or failed for a "
        "passing reason go again in the same run; 0: never. A DAG whose spec is a template has one round, because its "
        "tasks are known before its spec is.",
    )


class WaitSection(_Section):
    """How the sensor waits."""

    poll_seconds: float = Field(
        60,
        gt=0,
        description="The fewest seconds between two looks at a job. A long wait looks more seldom, a tenth of the wait "
        "so far apart, at most ten times this or ten minutes, and more often near the end. From three jobs on the "
        "provider's list is asked for all of them at once.",
    )
    timeout_hours: float = Field(
        25, gt=0, description="After this the jobs are cancelled; default: the 24 h window and one more."
    )


class ConnectionSection(_Section):
    """Ids of Airflow connections."""

    opensearch: str = Field("opensearch_default", description="Id of the connection to the cluster.")
    provider: str | None = Field(
        None,
        description="Id of the connection to the provider; default: the provider's own, e.g. its name with _default.",
    )


class BatchSpec(_Section):
    """One batch: model, input, output, and what bounds them."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        max_length=200,
        description="Name of the run's asset, and of connector and model unless model.registered_as is given.",
    )
    model: ModelSection
    input: InputSection
    output: OutputSection
    limits: LimitSection = LimitSection()
    wait: WaitSection = WaitSection()
    connections: ConnectionSection = ConnectionSection()
    work_uri: str = Field(
        "${BATCH_DATA_URI}/work",
        description="Folder of the shards; every worker must reach it. Nothing is removed there: empty it when no run "
        "needs it.",
    )
    work_is_shared: bool = Field(False, description="Declare that a file:// work_uri is mounted on every worker.")
    dry_run: bool = Field(False, description="Plan only: rows, shards, tokens, money. Nothing is sent.")

    @model_validator(mode="after")
    def _can_be_priced(self) -> BatchSpec:
        limits = self.limits
        unpriced = providers.get(self.model.provider).PRICE_ID is None and limits.usd_per_million_tokens is None
        if unpriced and limits.max_cost_usd is not None:
            raise SpecError(
                "limits.max_cost_usd cannot hold: this provider bills the time of machines, which no plan knows. "
                "Bound that in model.job"
            )
        return self

    @property
    def registered_as(self) -> str:
        return self.model.registered_as or self.name

    @property
    def provider_connection(self) -> str:
        return self.connections.provider or providers.get(self.model.provider).CONNECTION

    @property
    def may_be_empty(self) -> bool:
        said = self.input.allow_empty
        return "{partition}" in self.input.uri if said is None else said

    def to_dict(self) -> dict[str, Any]:
        return self.model_dump(exclude_defaults=True)

    @classmethod
    def check(cls, values: Any, source: str = "spec") -> BatchSpec:
        """Raise SpecError naming every wrong field, and for an unknown one the nearest right one."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            lines = [_explain(item, cls) for item in error.errors()]
            raise SpecError(f"{source}: " + "; ".join(lines)) from None

    @classmethod
    def of(cls, value: Any) -> BatchSpec:
        """From a spec's dict, or the path of its file."""
        return cls.load(value) if isinstance(value, str | Path) else cls.check(value)

    @classmethod
    def load(cls, path: str | Path) -> BatchSpec:
        """Read YAML. Raise SpecError when the file is absent, not YAML, or not a spec."""
        import yaml

        try:
            values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise SpecError(f"spec {path}: {error.strerror}") from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise SpecError(f"spec {path}: not YAML: {error}") from None
        return cls.check(values, f"spec {path}")

    def override(self, values: dict[str, Any]) -> BatchSpec:
        """A copy with dotted keys replaced, e.g. {"model.name": "…"}; a value of None leaves the spec's own."""
        copy = with_dotted(self.to_dict(), values)
        return BatchSpec.check(copy, f"spec {self.name}")

    def resolve(self, **placeholders: str | None) -> BatchSpec:
        """Fill in ${ENVIRONMENT} variables and {name} placeholders. Raise SpecError for one without a value."""
        at = {"input.uri": self.input.uri, "output.uri": self.output.uri, "work_uri": self.work_uri}
        if isinstance(place := self.model.job.get("files_uri"), str):
            at["model.job.files_uri"] = place
        filled = {key: _fill(f"{self.name}: {key}", uri, placeholders) for key, uri in at.items()}
        return self.override({**filled, "input.allow_empty": self.may_be_empty})


def with_dotted(values: dict[str, Any], dotted: dict[str, Any]) -> dict[str, Any]:
    """A copy of nested values with dotted keys set; None sets nothing."""
    copy = {key: dict(value) if isinstance(value, dict) else value for key, value in values.items()}
    for key, value in dotted.items():
        *sections, last = key.split(".")
        target = copy
        for section in sections:
            target = target.setdefault(section, {})
            if not isinstance(target, dict):
                raise SpecError(f"{key!r}: {section!r} has no fields of its own")
        if value is not None:
            target[last] = value
    return copy


def _fill(where: str, uri: str, placeholders: dict[str, str | None]) -> str:
    def variable(match: re.Match[str]) -> str:
        if (value := os.environ.get(match[1])) is None:
            raise SpecError(f"{where}: environment variable {match[1]} is not set on this worker (in {uri!r})")
        return value

    def placeholder(match: re.Match[str]) -> str:
        if match[1] not in placeholders:
            raise SpecError(
                f"{where}: unknown placeholder {match[0]} in {uri!r}; known: {', '.join(sorted(placeholders))}"
            )
        if (value := placeholders[match[1]]) is None:
            raise SpecError(
                f"{where}: this run has no {match[1]}. Name it in the run's conf, e.g. "
                f'{{"{match[1]}": "2026-01-31"}}, or give the DAG a schedule with data intervals.'
            )
        return value

    return re.sub(r"\{(\w+)\}", placeholder, re.sub(r"\$\{(\w+)\}", variable, uri))


def unknown_key(path: str, known: Iterable[str]) -> str:
    """What to say of it: where it stands, and the nearest right one of its place."""
    near = get_close_matches(path.rpartition(".")[2], known, n=1)
    return f"unknown key {path!r}" + (f", did you mean {near[0]!r}?" if near else "")


def _explain(item: Any, root: type[BaseModel]) -> str:
    path = ".".join(str(part) for part in item["loc"]) or "the spec"
    if item["type"] == "extra_forbidden":
        return unknown_key(path, _fields_at(root, item["loc"][:-1]))
    return f"{path}: {item['msg']}" + (f", not {item['input']!r}" if item["type"] != "missing" else "")


def _fields_at(model: type[BaseModel], path: tuple[Any, ...]) -> list[str]:
    for part in path:
        section = model.model_fields[part].annotation
        if not (isinstance(section, type) and issubclass(section, BaseModel)):
            return []
        model = section
    return list(model.model_fields)
