"""The section `reuse` of a spec: vectors that an earlier run has paid for are copied, and their texts not sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from opensearch_batch.section import Section


class ReuseSection(Section):
    """Where it is kept which texts have a vector, and in which results file."""

    EXAMPLE: ClassVar[Mapping[str, Any]] = {"uri": "file:///data/reuse"}

    uri: str = Field(
        description="Folder of the record; specs that share it share their vectors, by text, model and parameters. "
        "Models of one name on different servers need folders of their own. Needs pyarrow. Empty it to have every text "
        "sent.",
    )
    max_age_days: int | None = Field(
        None, ge=1, description="Vectors that were paid for longer ago are made anew; default: none is."
    )
