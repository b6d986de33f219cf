"""The fields of checked.py's answers, for both sides: the peer's venv has pydantic, and nothing of ours."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class Label(BaseModel):
    topic: Literal["text", "files", "network"]
    confidence: float = Field(ge=0, le=1)
    words: int
    summary: str
    parts: list[str]
