"""BatchSpec: the description of a batch by a person, checked field by field before anything runs.

A spec needs four fields at least:

    name: nightly_articles
    model: {name: text-embedding-3-small}
    input: {uri: "s3://aws_default@corpus/articles/{partition}/*.jsonl"}
    output: {uri: "s3://aws_default@corpus/embeddings/{partition}"}

`BatchSpec.load("nightly_articles.yaml")` reads a spec; docs/reference/spec.md lists all fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, ValidationError, field_validator, model_validator

from opensearch_batch import providers
from opensearch_batch.dotted import with_dotted
from opensearch_batch.errors import SpecError
from opensearch_batch.flow.data_files import Format
from opensearch_batch.input_section import InputSection
from opensearch_batch.limit_section import LimitSection, refuse_uncounted
from opensearch_batch.model_section import ModelSection, refuse_unbounded
from opensearch_batch.parity_section import ParitySection
from opensearch_batch.placeholders import fill, fill_each, is_uri, without_end
from opensearch_batch.reuse_section import ReuseSection
from opensearch_batch.section import Section
from opensearch_batch.wait_section import WaitSection, refuse_unaskable, refuse_unfinishable
from opensearch_batch.write_back_section import WriteBackSection, provenance_beside_chunks
from opensearch_batch.wrong_field import explained, odd_key

RESERVED = frozenset(
    {
        *("id", "embedding", "output", "truncated", "input_tokens", "output_tokens", "model_id", "run", "shard"),
        *("batch_id", "_document", "_text_hash", "_chunk", "_paid_day"),
    }
)
"""Names that a result has already."""


class OutputSection(Section):
    """The folder for results, failures and manifests, and the format of the results."""

    EXAMPLE: ClassVar[Mapping[str, Any]] = {"uri": "file:///data/results/{partition}"}

    uri: str = Field(description="A folder of this run or partition; {partition} and {run_id} are filled in.")
    format: Format = Field(
        "jsonl",
        description="Format of the results; failures are always JSON Lines. parquet needs pyarrow and holds vectors as "
        "fixed-size lists of float32, the usage, and each row's model, run, shard and batch.",
    )
    may_shrink: bool = Field(
        False,
        description="Whether manifest.json also moves to a complete run that answered fewer rows than the run before, "
        "e.g. because rows were deleted from the input; default: such a run says so, and manifest.json stays. Runs "
        "with write_back answer only what has changed, and always move it.",
    )
    include: list[str] = Field(
        [],
        description="Fields of the row that each of its results has too, e.g. [title, lang]. In Parquet a column is of "
        "text, whole numbers, numbers or booleans; of several of these, or of objects and lists, it holds JSON.",
    )
    keep_provider_files_days: float | None = Field(
        None,
        ge=0,
        description="Days after the manifest was written from which clean_provider may delete the run's files at the "
        "provider; default: keep them.",
    )

    @field_validator("include")
    @classmethod
    def _not_taken(cls, names: list[str]) -> list[str]:
        if taken := sorted(RESERVED.intersection(names)):
            raise SpecError(f"output.include: a result has its own {', '.join(taken)}; name other fields")
        return list(dict.fromkeys(names))


class ConnectionSection(Section):
    """Ids of Airflow connections."""

    EXAMPLE: ClassVar[Mapping[str, Any]] = {"opensearch": "opensearch_default"}

    opensearch: str = Field("opensearch_default", description="Id of the connection to the cluster.")
    provider: str | None = Field(
        None,
        description="Id of the connection to the provider; default: the provider's own, e.g. its name with _default.",
    )


class BatchSpec(Section):
    """A batch: model, input, output, limits, wait and connections."""

    EXAMPLE: ClassVar[Mapping[str, Any]] = {
        "name": "nightly_articles",
        "model": {"name": "text-embedding-3-small"},
        "input": {"uri": "file:///data/articles/{partition}/*.jsonl"},
        "output": {"uri": "file:///data/embeddings/{partition}"},
    }

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        max_length=200,
        examples=["nightly_articles"],
        description="The run's asset is <name>/results. Also the name of connector and model, unless "
        "model.registered_as is given.",
    )
    model: ModelSection
    input: InputSection
    output: OutputSection
    write_back: WriteBackSection | None = Field(
        None, description="With it each vector goes back into the document whose text was sent."
    )
    parity: ParitySection | None = Field(
        None,
        description="With it a sample of the written vectors is held against the model's online answers: after each "
        "run that writes back, and before an alias is moved. Needs write_back.",
    )
    reuse: ReuseSection | None = Field(
        None,
        description="With it texts that have a vector of an earlier run are not sent, and the vector is copied; a text "
        "of several rows is sent once.",
    )
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
        if limits.max_cost_usd is not None:
            refuse_unbounded("limits.max_cost_usd", self.model)
        return self

    @model_validator(mode="after")
    def _can_finish_by(self) -> BatchSpec:
        refuse_unfinishable(self.wait, self.limits)
        if self.limits.max_straggler_usd:
            refuse_unaskable(self.model, self.limits)
        return self

    @model_validator(mode="after")
    def _can_be_written_back(self) -> BatchSpec:
        if self.write_back is None:
            return self
        if not self.input.is_index:
            raise SpecError("write_back writes into the index of input.uri: say input.uri: opensearch://conn/index")
        if self.output.format != "jsonl":
            raise SpecError("write_back reads results of output.format: jsonl")
        index = self.input.uri.rpartition("/")[2]
        self.write_back.refuse_two_places(index, has_chunks=self.input.chunks is not None)
        return self

    @model_validator(mode="before")
    @classmethod
    def _provenance_beside_chunks(cls, values: Any) -> Any:
        return provenance_beside_chunks(values) if isinstance(values, dict) else values

    @model_validator(mode="after")
    def _chunks_have_a_place(self) -> BatchSpec:
        if self.write_back and self.input.chunks:
            self.write_back.refuse_no_place_for_chunks()
        return self

    @model_validator(mode="after")
    def _can_be_compared(self) -> BatchSpec:
        if self.parity is not None and self.write_back is None:
            raise SpecError("parity compares vectors of an index: say write_back")
        return self

    @model_validator(mode="after")
    def _can_be_reused(self) -> BatchSpec:
        if self.reuse is not None and self.output.format != "jsonl":
            raise SpecError("reuse copies vectors from results of output.format: jsonl")
        return self

    @model_validator(mode="after")
    def _can_have_images(self) -> BatchSpec:
        model, images = self.model, self.input.images
        if images is None:
            return self
        providers.get(model.provider).images_a_request(model.name, model.endpoint, images.detail)
        for name in ("write_back", "reuse"):
            if getattr(self, name) is not None:
                raise SpecError(f"{name} is for vectors of texts, and input.images for models that write")
        if images.tokens is None:
            refuse_uncounted(self.limits)
        if self.limits.max_straggler_usd:
            raise SpecError(
                "limits.max_straggler_usd cannot hold beside input.images, whose tokens no estimate of online answers "
                "has. Leave it out: at wait.finish_by the batches end, and open rows are named"
            )
        return self

    @property
    def registered_as(self) -> str:
        """Name of connector and model in OpenSearch: `model.registered_as`, else the spec's name."""
        return self.model.registered_as or self.name

    @property
    def provider_connection(self) -> str:
        """Id of the connection to the provider: `connections.provider`, else the provider's default."""
        return self.connections.provider or providers.get(self.model.provider).CONNECTION

    @property
    def may_be_empty(self) -> bool:
        """Whether a run without rows is a success: `input.allow_empty`, else true where the input has {partition}, and
        where only changed documents are sent.
        """
        said = self.input.allow_empty
        return self.input.is_partitioned or self.write_back is not None if said is None else said

    def to_dict(self) -> dict[str, Any]:
        """Return the fields that differ from the defaults, as JSON values."""
        return self.model_dump(exclude_defaults=True)

    @classmethod
    def check(cls, values: Any, source: str = "spec") -> BatchSpec:
        """Return the spec of these values. Raise SpecError with every wrong field and the form that is expected, and
        for an unknown key where it belongs or the nearest known one; `source` begins the error.
        """
        try:
            return cls._checked(values, source)
        except RecursionError:
            raise SpecError(f"{source}: it is nested too deeply") from None

    @classmethod
    def _checked(cls, values: Any, source: str) -> BatchSpec:
        if odd := odd_key(values):
            raise SpecError(f"{source}: {odd}")
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise SpecError(f"{source}: {explained(error, cls)}") from None

    @classmethod
    def of(cls, value: Any) -> BatchSpec:
        """Return the spec of a dict, or of a YAML file's path. Raise SpecError as `check` and `load` do."""
        return cls.load(value) if isinstance(value, str | Path) else cls.check(value)

    @classmethod
    def load(cls, path: str | Path) -> BatchSpec:
        """Read a spec from a YAML file. Raise SpecError for a file that is absent, not YAML, or not a spec."""
        import yaml

        from opensearch_batch.yaml_file import read_yaml

        try:
            values = read_yaml(path)
        except OSError as error:
            raise SpecError(f"spec {path}: {error.strerror}") from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise SpecError(f"spec {path}: not YAML: {error}") from None
        except RecursionError:
            raise SpecError(f"spec {path}: it is nested too deeply") from None
        return cls.check(values, f"spec {path}")

    def override(self, values: dict[str, Any]) -> BatchSpec:
        """Return a copy with dotted keys replaced, e.g. {"model.name": "…"}; a None keeps the spec's own value.

        Raise SpecError where the copy is not a spec.
        """
        copy = with_dotted(self.to_dict(), values)
        return BatchSpec.check(copy, f"spec {self.name}")

    def resolve(self, **placeholders: str | None) -> BatchSpec:
        """Return a copy with ${ENVIRONMENT} variables and {name} placeholders filled in, in the spec's URIs and query.
        The folders of output, work and reuse lose a slash at their end.

        Raise SpecError for an unknown placeholder, and for a variable or placeholder without a value.
        """
        at = {"input.uri": self.input.uri, "output.uri": self.output.uri, "work_uri": self.work_uri}
        if isinstance(uri := self.model.job.get("files_uri"), str):
            at["model.job.files_uri"] = uri
        if self.reuse:
            at["reuse.uri"] = self.reuse.uri
        files = {"model.output_schema": self.model.output_schema, "input.template": self.input.template}
        at |= {key: uri for key, uri in files.items() if isinstance(uri, str) and is_uri(uri)}
        filled: dict[str, Any] = {key: fill(f"{self.name}: {key}", uri, placeholders) for key, uri in at.items()}
        filled |= {key: without_end(filled[key]) for key in ("output.uri", "work_uri", "reuse.uri") if key in filled}
        if self.input.query:
            filled["input.query"] = fill_each(f"{self.name}: input.query", self.input.query, placeholders)
        return self.override({**filled, "input.allow_empty": self.may_be_empty})
