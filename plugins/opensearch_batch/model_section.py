"""The section `model` of a spec: the hosted model, how it is asked, and its names in the cluster."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from opensearch_batch import providers
from opensearch_batch.errors import SpecError
from opensearch_batch.placeholders import is_uri
from opensearch_batch.section import Section
from opensearch_batch.wrong_field import explained

NO_NUMBER = (TypeError, ValueError, OverflowError)
"""What a provider raises for a bound of tokens that is no whole number."""
IMPORT_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


class ModelSection(Section):
    """The hosted model, and the names of connector, model and model group in the cluster."""

    EXAMPLE: ClassVar[Mapping[str, Any]] = {"name": "text-embedding-3-small"}
    FOR_OTHERS: ClassVar[str] = (
        "What goes with every row, e.g. temperature, stands in model.parameters, and settings of the vendor's job in "
        "model.job"
    )

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
    system_prompt: str | None = Field(
        None, min_length=1, description="Instructions that stand before every row's text; for models that write."
    )
    output_schema: str | dict[str, Any] | None = Field(
        None,
        description="JSON schema of an object that every answer must fit: the schema itself, the URI of a JSON file, "
        "or the import path of a pydantic model, e.g. labels.models.Label. The vendor is told, where it has a "
        "parameter for that, and every answer is checked: what does not fit fails as invalid_output, and goes to a "
        "repair round.",
    )
    job: dict[str, Any] = Field(
        {},
        description="Settings of the vendor's job besides the rows, e.g. files_uri; the provider's page in "
        "docs/providers lists the keys.",
    )
    texts_per_request: int = Field(
        1,
        ge=1,
        description="Texts a request, for embeddings: more texts, fewer lines. At most the provider's limit. A text "
        "that the provider refuses fails its whole request; a repair round then sends the request's rows alone. A "
        "task holds the whole answer to a request in memory, times four.",
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

    @property
    def writes(self) -> bool:
        """Whether answers are texts, by the endpoint or because a schema is given; False where nothing tells."""
        vectors = providers.get(self.provider).asked(self.name, self.endpoint, self.parameters).vectors
        return vectors is False or self.output_schema is not None

    @field_validator("output_schema")
    @classmethod
    def _names_a_schema(cls, said: Any) -> Any:
        if isinstance(said, str) and not is_uri(said) and not IMPORT_PATH.fullmatch(said):
            raise SpecError(
                f"model.output_schema {said!r} is neither a URI (file://…, s3://…) nor the import path of a pydantic "
                "model (package.module.Class)"
            )
        return said

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
            raise SpecError(explained(error, provider.JobSettings, "model.job")) from None
        if self.endpoint not in provider.ENDPOINTS:
            raise SpecError(f"model.endpoint {self.endpoint!r} is not one of {', '.join(provider.ENDPOINTS)}")
        if self.texts_per_request > (most := provider.MAX_TEXTS_A_REQUEST.get(self.endpoint, 1)):
            raise SpecError(f"model.texts_per_request is {self.texts_per_request}; {self.endpoint} allows {most}")
        return self

    @model_validator(mode="after")
    def _counted(self) -> ModelSection:
        try:
            providers.get(self.provider).output_tokens_at_most(self.name, self.endpoint, self.parameters)
        except NO_NUMBER:
            if "{{" not in str(self.parameters):
                raise SpecError(
                    "model.parameters: the bound of tokens of an answer is no whole number. Write a number, "
                    "e.g. max_tokens: 200"
                ) from None
        except SpecError:
            pass  # of a model that the vendor's module does not know: a wait needs no bound, and a plan says so
        return self

    @model_validator(mode="after")
    def _writes(self) -> ModelSection:
        """An instruction or a schema is for models that write."""
        said = [name for name in ("system_prompt", "output_schema") if getattr(self, name) is not None]
        if said and providers.get(self.provider).asked(self.name, self.endpoint, self.parameters).vectors:
            raise SpecError(
                f"model.{said[0]} is for answers of text, and {self.endpoint} answers with vectors: say model.endpoint"
            )
        return self


def refuse_unbounded(limit: str, model: ModelSection) -> None:
    """Raise SpecError for a limit of money, where an answer has no bound of tokens, or a bound that bounds nothing."""
    vendor = providers.get(model.provider)
    try:
        bound = vendor.output_tokens_at_most(model.name, model.endpoint, model.parameters)
    except NO_NUMBER:  # Airflow fills it in when the run starts, and the spec is checked again
        return
    if bound is None:
        raise SpecError(
            f"{limit} cannot hold: an answer has no bound of tokens. Give one in model.parameters, under "
            f"{model.endpoint}'s own name for it, e.g. max_tokens"
        )
    writes = vendor.asked(model.name, model.endpoint, model.parameters).vectors is False
    if bound < 0 or (bound == 0 and writes):  # 0 is right for vectors, and where machines are billed
        raise SpecError(
            f"{limit} cannot hold: the bound of tokens in model.parameters is {bound}. Give a whole number above 0"
        )
