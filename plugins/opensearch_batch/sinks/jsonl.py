"""JSON Lines result files."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import orjson

from opensearch_batch.flow.answers import Answer
from opensearch_batch.flow.data_files import DataFile
from opensearch_batch.storage import ObjectWriter

NO_FIELDS: Mapping[str, Any] = {}


class JsonLines:
    """Lines of {"id", "embedding"} or {"id", "output"}, with "truncated": true where the text is, and the row's fields
    after the id; a vector that came as JSON text is copied unchanged. With an output schema `output` is the object.
    """

    def __init__(self, uri: str) -> None:
        self._out = ObjectWriter(uri)

    def __enter__(self) -> Self:
        self._out.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._out.__exit__(kind, value, trace)

    def add(self, answer: Answer, fields: Mapping[str, Any] = NO_FIELDS) -> None:
        if answer.vector is None:
            mark = {"truncated": True} if answer.truncated else {}
            output = answer.output if answer.value is None else answer.value
            self.add_line({"id": answer.id, **fields, "output": output, **mark})
        elif isinstance(answer.vector, bytes):
            self.add_line({"id": answer.id, **fields, "embedding": orjson.Fragment(answer.vector)})
        else:
            self.add_line({"id": answer.id, **fields, "embedding": answer.vector.tolist()})

    def add_line(self, row: Mapping[str, Any]) -> None:
        self._out.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))

    def commit(self) -> DataFile | None:
        out = self._out
        if not out.lines:
            return None
        out.commit()
        return DataFile(out.uri, out.lines, out.bytes, out.sha256)
