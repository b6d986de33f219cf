"""The two result files of a batch while they are written, with the damage that was ordered done to them."""

from __future__ import annotations

import os
import random
from array import array
from typing import TYPE_CHECKING, Any, Self

import orjson

from sandbox.damage import Damage, Faults
from sandbox.ids import derived
from sandbox.odd_lines import OddLines, odd_row, openai_row

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.openai_face.answers import Answer


class ResultFile:
    """Written under `partial`, and only whole under its final name: a kill leaves no half file behind that counts."""

    def __init__(self, partial: Path) -> None:
        self._partial = partial
        self._file = partial.open("wb")
        self.lines = 0

    def write(self, line: bytes) -> None:
        self._file.write(line)
        self.lines += 1

    def abandon(self) -> None:
        self._file.close()
        self._partial.unlink(missing_ok=True)

    def publish(self, target: Path, shuffle_by: str | None) -> None:
        self._file.close()
        if shuffle_by is not None:
            shuffle_file(self._partial, shuffle_by)
        os.replace(self._partial, target)


class Results:
    """Rows go in by their position in the input; each chunk of them comes out in an order of its own."""

    def __init__(self, batch_id: str, work: Path, faults: Faults) -> None:
        self._batch_id = batch_id
        self._faults = faults
        self.output = ResultFile(work / f"{batch_id}.output")
        self.error = ResultFile(work / f"{batch_id}.error")
        self._damage, self._odd = Damage(faults), OddLines(faults)
        self._pending: list[tuple[ResultFile, bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        """What was not published is thrown away; after publishing there is nothing left to throw."""
        self.output.abandon()
        self.error.abandon()

    def is_odd(self, index: int) -> bool:
        return odd_row(self._faults, index) is not None

    def answered(self, index: int, custom_id: str, answer: Answer) -> bool:
        """False for a row that was ordered to be lost: the job does not know of it either."""
        response = {"status_code": answer.status, "request_id": self._request_id(index), "body": answer.body}
        line = self._line(index, custom_id, response, None)
        if shape := odd_row(self._faults, index):
            self._pending.append((self.error, self._line(index, custom_id, **openai_row(shape))))
            return True
        if answer.status >= 400:
            self._pending.append((self.error, line))
            return True
        while self._damage.foreign:
            foreign = self._line(-self._damage.foreign, f"foreign-{self._damage.foreign}", response, None)
            self._pending.append((self.output, foreign))
            self._damage.foreign -= 1
        treated = self._damage.treat(line)
        self._pending.extend((self.output, damaged) for damaged in treated)
        return bool(treated)

    def not_run(self, index: int, custom_id: str, code: str, message: str) -> None:
        line = self._line(index, custom_id, None, {"code": code, "message": message})
        self._pending.append((self.error, line))

    def end_chunk(self, number: int) -> None:
        random.Random(f"{self._batch_id}/{number}").shuffle(self._pending)
        for file, line in self._pending:
            file.write(self._odd.treat(line) if file is self.output else line)
        self._pending.clear()

    def publish(self, folder: Path) -> dict[str, dict[str, Any]]:
        """Id and lines by the batch's field name; a file without rows does not exist, as with OpenAI."""
        shuffle_by = self._batch_id if "reorder" in self._faults else None
        found = {}
        for name, file in (("output_file_id", self.output), ("error_file_id", self.error)):
            if file.lines:
                id_ = f"file-{derived(self._batch_id, name, length=22)}"
                file.publish(folder / id_, shuffle_by)
                found[name] = {"id": id_, "lines": file.lines}
        return found

    def _request_id(self, index: int) -> str:
        return derived(self._batch_id, "request", index, length=32)

    def _line(self, index: int, custom_id: str, response: object, error: object) -> bytes:
        row = {
            "id": f"batch_req_{derived(self._batch_id, index)}",
            "custom_id": custom_id,
            "response": response,
            "error": error,
        }
        return orjson.dumps(row, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE)


def shuffle_file(path: Path, seed: str) -> None:
    """Reorder the lines over the whole file; only their positions are held in memory."""
    starts = array("Q")
    position = 0
    with path.open("rb") as file:
        for line in file:
            starts.append(position)
            position += len(line)
        order = list(range(len(starts)))
        random.Random(seed).shuffle(order)
        shuffled = path.with_suffix(".shuffled")
        with shuffled.open("wb") as out:
            for index in order:
                file.seek(starts[index])
                out.write(file.readline())
    os.replace(shuffled, path)
