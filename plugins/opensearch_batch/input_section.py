"""The section `input` of a spec: where the rows are, how they are read, and which of them may be skipped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from opensearch_batch.chunk_section import ChunkSection
from opensearch_batch.errors import SpecError
from opensearch_batch.image_section import ImageSection
from opensearch_batch.placeholders import is_uri, refuse_braces, refuse_braces_alone, refuse_jinja_alone
from opensearch_batch.row_template import fields_asked
from opensearch_batch.section import Section

InputFormat = Literal["jsonl", "csv", "parquet"]


class InputSection(Section):
    """The input: JSON Lines, CSV, Parquet, the rows of a database or the documents of an index. `{partition}` and
    `{run_id}` are filled in per run.
    """

    EXAMPLE: ClassVar[Mapping[str, Any]] = {"uri": "file:///data/articles/{partition}/*.jsonl"}

    uri: str = Field(
        description="Files at file://… or on any object storage that Airflow knows (s3://conn@bucket/key), compressed "
        "with gzip or zstd or not at all; a glob reads its files in name order. Or sql://conn, a database behind an "
        "Airflow connection, with query. Or opensearch://conn/index, the documents of an index or of an alias's "
        "indices. {partition} and {run_id} are filled in, ${VARIABLES} come from the worker's environment.",
    )
    format: InputFormat | None = Field(
        None,
        description="jsonl, csv (with a header line) or parquet (needs pyarrow); default: what the name ends in, .csv, "
        ".tsv, .parquet or .pq, with or without .gz or .zst, else jsonl.",
    )
    delimiter: str | None = Field(
        None, min_length=1, max_length=1, description="Between two fields of CSV; default: a comma, a tab in .tsv."
    )
    query: str | dict[str, Any] | None = Field(
        None,
        description="Which rows are read; {partition} and {run_id} are filled in. Of sql://conn the SQL, with an ORDER "
        "BY: a repeated prepare_input finds the jobs of the same rows again only where the rows come in the same "
        "order. Of opensearch://conn/index a query of OpenSearch, e.g. {range: {day: {gte: '{partition}'}}}; default: "
        "all documents.",
    )
    id_field: str = Field(
        "id",
        description="Field with the row's id: unique in the run; text or a whole number. A document of an index has "
        "its own id instead.",
    )
    text_field: str = Field("text", description="Field with the text to send.")
    prompt: str | None = Field(
        None, description='Template over the row\'s fields, e.g. "{title}: {text}"; instead of text_field.'
    )
    template: str | None = Field(
        None,
        description="Jinja template over the row's fields, with conditions, loops and filters (e escapes, tojson "
        "quotes); instead of text_field and prompt. The template itself, or the URI of its file. A field that a row "
        "does not have makes a bad row.",
    )
    images: ImageSection | None = Field(
        None,
        description="With it each row's request has images after its text, by URL; for models that write, where the "
        "endpoint takes them.",
    )
    chunks: ChunkSection | None = Field(
        None, description="With it each text is cut into chunks, and each chunk is a row, with the id ROW#NUMBER."
    )
    too_long: Literal["fail", "skip", "truncate"] = Field(
        "fail",
        description="What happens to a text with more tokens than the model takes: fail and skip as with bad_rows, "
        "truncate sends the text's begin. Tokens are counted where the model's tokenizer is public and "
        "opensearch-batch[tokens] installed, else told by bytes (5 a token, and 3 of a text that is cut).",
    )
    max_text_tokens: int | None = Field(
        None,
        ge=1,
        description="Tokens a text may have; default: the model's context in genai-prices, no limit where it is not "
        "known or the vendor itself cuts texts.",
    )
    max_records: int | None = Field(
        None, ge=1, description="Read at most this many rows; with chunks as many whole texts."
    )
    allow_empty: bool | None = Field(
        None,
        description="Whether a run without rows is a success; default: true where uri has {partition}, else false. A "
        "glob without matches has no rows; a single file must exist.",
    )
    bad_rows: Literal["fail", "skip"] = Field(
        "fail",
        description="What happens to rows that cannot be sent: no id, no text, no image where input.images asks for "
        "one, a repeated id, not JSON, too large. fail refuses the run and names the first twenty; skip sends the "
        "other rows, and the failures have each bad row with its place and the reason.",
    )
    max_bad_fraction: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Share of the rows that bad_rows and too_long may skip before the run is refused; with chunks bad "
        "texts are a share of the texts.",
    )
    partition_format: str = Field("%Y-%m-%d", description="strftime of the data interval's start, for {partition}.")

    @model_validator(mode="before")
    @classmethod
    def _one_text(cls, values: Any) -> Any:
        if not isinstance(values, dict) or values.get("text_field") is None:
            return values
        if isinstance(fields := values["text_field"], list):
            made = "\\n".join(f"{{{field}}}" for field in fields)
            raise SpecError(f'input.text_field is one field. For several say input.prompt, e.g. prompt: "{made}"')
        for other in ("prompt", "template"):
            if values.get(other) is not None:
                raise SpecError(
                    f"input.text_field and input.{other} are two ways to say what is sent; give one of them"
                )
        return values

    @field_validator("prompt")
    @classmethod
    def _is_prompt(cls, prompt: str | None) -> str | None:
        refuse_braces("input.prompt", prompt)
        refuse_jinja_alone("input.prompt", prompt, "or say input.template, which is Jinja")
        return prompt

    @field_validator("template")
    @classmethod
    def _is_template(cls, template: str | None) -> str | None:
        if template is not None and not is_uri(template):
            refuse_braces_alone("input.template", template, fields_asked("input.template", template))
        return template

    @model_validator(mode="after")
    def _one_template(self) -> InputSection:
        if self.prompt is not None and self.template is not None:
            raise SpecError("input.prompt and input.template are two ways to say what is sent; give one of them")
        return self

    @model_validator(mode="after")
    def _whole_rows_have_images(self) -> InputSection:
        if self.images is not None and self.chunks is not None:
            raise SpecError("input.chunks cuts texts, and no chunk has an image of its own: leave input.images out")
        return self

    @property
    def is_partitioned(self) -> bool:
        """Whether a run reads the rows of its partition only."""
        return "{partition}" in f"{self.uri}{self.query or ''}"

    @property
    def is_index(self) -> bool:
        return self.uri.startswith("opensearch://")

    @model_validator(mode="after")
    def _query_of_its_kind(self) -> InputSection:
        if self.uri.startswith("sql://") != isinstance(self.query, str):
            raise SpecError(
                "input.query as text (SQL) and an input.uri of sql://conn belong together: the uri names the Airflow "
                "connection of the database, the query what is read"
            )
        if isinstance(self.query, dict) and not self.is_index:
            raise SpecError("input.query as an object is a query of OpenSearch, for a uri of opensearch://conn/index")
        return self
