"""Section: the base of a spec's sections."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A section refuses keys that it does not know, and does not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)
