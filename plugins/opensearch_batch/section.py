"""Section: the base of a spec's sections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A section refuses keys that it does not know, and does not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    EXAMPLE: ClassVar[Mapping[str, Any]]
    """Fields that make a valid section, for the error about a value in place of a section."""
    FOR_OTHERS: ClassVar[str] = ""
    """A sentence about keys that are no fields of the section."""
