"""The section `input.images` of a spec: the images that go with each row's text, by URL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field, field_validator, model_validator

from opensearch_batch.errors import SpecError
from opensearch_batch.placeholders import refuse_braces
from opensearch_batch.section import Section


class ImageSection(Section):
    """Where a row's images are, and what each counts. Nothing is fetched here: the vendor fetches them."""

    EXAMPLE: ClassVar[Mapping[str, Any]] = {"url": "https://img.example/{sku}.jpg"}

    field: str | None = Field(
        None,
        description="Field with the URL of the row's image, or with a list of URLs: http, https, or a data URL "
        "(data:image/png;base64,…). A dotted path is a field in an object, or in each object of a list.",
        examples=["photo_url", "photos.url"],
    )
    url: str | None = Field(
        None,
        description="Template of one URL over the row's fields, as input.prompt is one of the text, in "
        'single braces, e.g. "https://img.example/{sku}.jpg"; instead of field.',
    )
    detail: str | None = Field(
        None, description="How closely the model looks, in the vendor's words, e.g. low; default: the vendor's own."
    )
    tokens: int | None = Field(
        None,
        ge=1,
        description="Tokens that each image counts in the estimate. They depend on model, size and detail, and no plan "
        "looks at an image; default: images are not counted, and the plan says so. limits.max_cost_usd, "
        "limits.max_tokens and limits.max_enqueued_tokens need a number.",
    )

    @model_validator(mode="after")
    def _one_place(self) -> ImageSection:
        if (self.field is None) == (self.url is None):
            raise SpecError("input.images needs one of field (where the row's URLs are) and url (a template of one)")
        return self

    @field_validator("url")
    @classmethod
    def _is_template(cls, url: str | None) -> str | None:
        refuse_braces("input.images.url is no template", url)
        if url is not None and ("{{" in url or "}}" in url):
            raise SpecError(
                f"input.images.url: a field stands in single braces, as {{sku}}, and no URL has a brace: {url!r}"
            )
        return url
