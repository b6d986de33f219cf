"""The section `input.chunks` of a spec: how long texts are cut into chunks, each with a vector of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from opensearch_batch.errors import SpecError
from opensearch_batch.section import Section


class ChunkSection(Section):
    """How texts are cut: at paragraphs where possible, else at sentence ends, words, characters."""

    EXAMPLE: ClassVar[Mapping[str, Any]] = {"size": 400}

    size: int = Field(ge=1, description="Most of a chunk, in `unit`.")
    overlap: int = Field(
        0,
        ge=0,
        description="So much of a chunk's end comes again at the begin of the next one, at most, in whole sentences "
        "where there are any: an overlap shorter than a sentence is none.",
    )
    unit: Literal["tokens", "characters"] = Field(
        "tokens",
        description="What size and overlap count: tokens of the model's own tokenizer, which has to be public and "
        "installed (opensearch-batch[tokens]), or characters.",
    )
    keep_text: bool = Field(
        True, description="Whether results, and the index, have each chunk's text beside its vector, or its place only."
    )

    @model_validator(mode="after")
    def _goes_on(self) -> ChunkSection:
        if self.overlap >= self.size:
            raise SpecError(f"input.chunks.overlap is {self.overlap}; it must be less than size, which is {self.size}")
        return self
