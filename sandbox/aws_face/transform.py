"""Batch transform for real: every object below the prefix through the model, into one .out file each.

A bad record spoils its whole file, the other files are processed, and the job fails:
https://docs.aws.amazon.com/sagemaker/latest/dg/batch-transform-errors.html
"""

from __future__ import annotations

import itertools
import json
import time
from typing import TYPE_CHECKING, Any

import orjson

from sandbox.aws_face import container, filters, lines
from sandbox.aws_face.attempt import Attempt
from sandbox.aws_face.container import BadRequest
from sandbox.damage import is_ordered_to_fail
from sandbox.odd_lines import container_output, odd_row
from sandbox.openai_face.results import shuffle_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sandbox.aws_face.jobs import Jobs

CHUNK_RECORDS = 256
MEGABYTE = 1024 * 1024
DEFAULT_PAYLOAD_MB = 6
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTransformJob.html
MOST_PAYLOAD_MB = 100
CONTENT_TYPES = ("application/json", "application/jsonlines")
ACCEPTED = (None, "", "*/*", *CONTENT_TYPES)
# Users quote both, the second in https://github.com/aws/deep-learning-containers/issues/586; that AWS chooses between
# them as here, ClientError for what a container answers 4xx, was not verified.
BAD_RECORD = "ClientError: See job logs for more information"
BAD_ALGORITHM = "AlgorithmError: See job logs for more information"


class Transform(Attempt):
    KIND = "transform"

    def __init__(self, jobs: Jobs, id: str, run: int, check: Callable[[], None]) -> None:
        super().__init__(jobs, id, run, check)
        self._rows = 0
        processing = self._asked.get("DataProcessing") or {}
        self._input_filter = processing.get("InputFilter", "$")
        self._output_filter = processing.get("OutputFilter", "$")
        self._joins = processing.get("JoinSource") == "Input"

    def _execute(self) -> None:
        self._jobs.tell(self._id, self._run_number, ready=True, began_at=time.time())
        if "fail_batch" in self._faults:
            self._end("Failed", self._faults["fail_batch"].get("message", BAD_ALGORITHM), [])
            return
        if "cancel" in self._faults:
            self._end("Stopped", None, [])
            return
        source = self._asked["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"]
        bucket, prefix = lines.place(source)
        keys = [key for key in self._jobs.objects.keys(bucket, prefix) if not key.endswith("/")]
        if not keys:
            # AWS's words for a job that is created so; what it says of objects that are gone later was not verified.
            self._end("Failed", f'ClientError: No S3 objects found under S3 URL "{source}".', [])
            return
        out_bucket, out_prefix = lines.place(self._asked["TransformOutput"]["S3OutputPath"])
        outputs, spoiled = [], 0
        for number, key in enumerate(keys):
            self._check()
            name = self._draft(number)
            if not self._file(bucket, key, self._jobs.box.state.work / name):
                spoiled += 1
                continue
            target = lines.joined(out_prefix, lines.below(key, prefix) + ".out")
            denied = self._work["output_denied"]
            outputs.append({"bucket": out_bucket, "key": target, "file": name, "denied": denied})
            self._jobs.tell(self._id, self._run_number, outputs=outputs)
        if spoiled:
            self._end("Failed", BAD_RECORD, outputs)
        else:
            self._end("Completed", None, outputs)

    def _end(self, outcome: str, reason: str | None, outputs: list[dict[str, Any]]) -> None:
        self._jobs.tell(
            self._id, self._run_number, done=True, outcome=outcome, reason=reason, outputs=outputs,
            counts={"records": self._rows},
        )  # fmt: skip

    def _file(self, bucket: str, key: str, target: Path) -> bool:
        """Whether all its records were good; if not there is no file."""
        try:
            with target.open("wb") as out:
                first = True
                for starts_payload, line in self._answers(bucket, key):
                    if not first and (self._assembles_lines or not starts_payload):
                        out.write(b"\n")
                    out.write(line)
                    first = False
                if not first and self._assembles_lines:
                    out.write(b"\n")
        except (BadRequest, KeyError):
            target.unlink(missing_ok=True)
            return False
        if "reorder" in self._faults:
            shuffle_file(target, self._id)
        return True

    @property
    def _assembles_lines(self) -> bool:
        return bool(self._asked["TransformOutput"].get("AssembleWith") == "Line")

    def _answers(self, bucket: str, key: str) -> Iterator[tuple[bool, bytes]]:
        if self._content_type() not in CONTENT_TYPES or self._asked["TransformOutput"].get("Accept") not in ACCEPTED:
            raise BadRequest("the container speaks JSON")
        records = self._payloads(bucket, key)
        while chunk := list(itertools.islice(records, CHUNK_RECORDS)):
            self._check()
            yield from self._answer(chunk)
            self._jobs.tell(self._id, self._run_number, counts={"records": self._rows})

    def _answer(self, chunk: list[tuple[bool, bytes]]) -> Iterator[tuple[bool, bytes]]:
        parsed = [self._parse(raw) for _, raw in chunk]
        texts = [container.texts_of(filters.apply(self._input_filter, record)) for record in parsed]
        answers = container.answer_all(self._asked["ModelName"], texts)
        first = self._rows - len(chunk)
        for at, ((starts, _), record, answer) in enumerate(zip(chunk, parsed, answers, strict=True), first):
            shape = odd_row(self._faults, at)
            line = self._dump(record, container_output(shape) if shape else answer)
            while self._damage.foreign:
                self._damage.foreign -= 1
                yield starts, self._dump({"id": f"foreign-{self._damage.foreign + 1}"} if self._joins else {}, answer)
            for damaged in self._damage.treat(line):
                yield starts, self._odd.treat(damaged)

    def _dump(self, record: Any, answer: Any) -> bytes:
        shown = answer
        if self._joins:
            is_object = isinstance(record, dict)
            shown = {**record, "SageMakerOutput": answer} if is_object else {
                "SageMakerInput": record, "SageMakerOutput": answer,
            }  # fmt: skip
        return orjson.dumps(filters.apply(self._output_filter, shown), option=orjson.OPT_SERIALIZE_NUMPY)

    def _parse(self, raw: bytes) -> Any:
        try:
            record = json.loads(raw)
        except ValueError:
            raise BadRequest("the record is not JSON") from None
        names = {value for value in record.values() if isinstance(value, str)} if isinstance(record, dict) else set()
        index, self._rows = self._rows, self._rows + 1
        if is_ordered_to_fail(self._faults, index, names) is not None:
            raise BadRequest("ordered from the sandbox")
        return record

    def _payloads(self, bucket: str, key: str) -> Iterator[tuple[bool, bytes]]:
        """Records, each with whether it begins a new request to the container."""
        most = int(self._asked.get("MaxPayloadInMB", DEFAULT_PAYLOAD_MB) or MOST_PAYLOAD_MB) * MEGABYTE
        is_split = self._asked["TransformInput"].get("SplitType") == "Line"
        takes_many = self._content_type() == "application/jsonlines"
        gathers = not is_split or self._asked.get("BatchStrategy", "MultiRecord") == "MultiRecord"
        if not is_split and not takes_many:
            yield True, self._whole(bucket, key, most)
            return
        size = 0
        for line in lines.split(self._jobs.objects.read(bucket, key)):
            if not line.strip():
                continue
            if len(line) > most:
                raise BadRequest("the record is larger than MaxPayloadInMB")
            starts = size == 0 or not gathers or (is_split and size + len(line) > most)
            if not starts and not takes_many:
                raise BadRequest("several records in one request are not one JSON value")
            size = len(line) + (0 if starts else size)
            if size > most:
                raise BadRequest("the object is larger than MaxPayloadInMB")
            yield starts, line

    def _whole(self, bucket: str, key: str, most: int) -> bytes:
        if (self._jobs.objects.size(bucket, key) or 0) > most:
            raise BadRequest("the object is larger than MaxPayloadInMB")
        return b"".join(self._jobs.objects.read(bucket, key))

    def _content_type(self) -> str:
        return str(self._asked["TransformInput"].get("ContentType", "")).partition(";")[0].strip()
