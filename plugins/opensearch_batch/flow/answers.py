"""Answer: a row's vector, text or reason, as a provider reads it from an output file."""

from __future__ import annotations

from array import array
from typing import Any

import msgspec


class Usage(msgspec.Struct, frozen=True, gc=False):
    """What the provider counted, not our estimate. `instance_seconds`: of all machines, where those are billed."""

    input_tokens: int = 0
    output_tokens: int = 0
    instance_seconds: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.instance_seconds + other.instance_seconds,
        )


class Answer(msgspec.Struct, frozen=True, gc=False):
    """One line of an output file: either `output` (text) or `vector` (an answer), or `code` and `message` (a reason).

    A vector is the JSON text of its numbers as it came, or single-precision values where they came as such. `numbers`
    is a buffer of the text's numbers as doubles, where reading the line has made them. `position` is which of its
    request's texts it answers, from 0; None is the whole request. The usage of a request of many texts stands with the
    first of its answers.

    No dataclass: one is made for each row, and a frozen one takes as long as reading the row.
    """

    id: str
    output: str | None = None
    vector: bytes | array[float] | None = None
    code: str = ""
    message: str = ""
    usage: Usage = Usage()
    position: int | None = None
    numbers: Any = None
    passing: bool = False
    """Of a reason: the same row may be answered when it is sent again."""
    alone: bool = False
    """Of a reason: if it is sent without the other rows of its request."""

    @property
    def answered(self) -> bool:
        return self.output is not None or self.vector is not None

    @property
    def dimensions(self) -> int:
        """0 where there is no vector."""
        if self.numbers is not None:
            return memoryview(self.numbers).nbytes // 8
        if isinstance(self.vector, bytes):
            return self.vector.count(b",") + 1
        return len(self.vector or ())
