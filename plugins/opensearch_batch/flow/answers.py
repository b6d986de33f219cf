"""Answer: a row's vector, text or reason, read from an output file by a provider."""

from __future__ import annotations

from array import array
from typing import Any

import msgspec


class Usage(msgspec.Struct, frozen=True, gc=False):
    """Counts by the provider, no estimate. `instance_seconds`: of all machines, where machine time is billed."""

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
    """A line of an output file: either `output` (text) or `vector` (an answer), or `code` and `message` (a reason).

    A vector is well-formed JSON text as received, or single-precision values where the provider sent binary; readers do
    not judge vectors, land/vectors.py checks every vector.
    `numbers` is a buffer of the text's numbers as doubles, if reading the line made the buffer. `position` is the
    number of the text in the request, from 0; None is the whole request. The first answer of a request of many texts
    has the usage of the request.

    No dataclass: every row makes an Answer, and a frozen dataclass takes as long as reading the row.
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
    """Of a reason: the provider may answer the same row when sent again."""
    alone: bool = False
    """Of a reason: the provider may answer the row when sent without the rest of the request."""
    truncated: bool = False
    """Of a text: the model stopped at a limit of tokens, before the text's own end."""
    value: Any = None
    """Of a text with an output schema: the object in the text; of a text that does not fit: the text."""
    replied: bool = False
    """Of a reason: the vendor may count the request as answered, as of an error in an answer with status 200."""

    @property
    def answered(self) -> bool:
        return self.output is not None or self.vector is not None

    @property
    def dimensions(self) -> int:
        """Length of the vector; 0 without a vector."""
        if self.numbers is not None:
            return memoryview(self.numbers).nbytes // 8
        if isinstance(self.vector, bytes):
            return self.vector.count(b",") + 1
        return len(self.vector or ())
