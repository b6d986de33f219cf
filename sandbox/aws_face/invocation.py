"""Model invocation for real: the records of every .jsonl file below the input, each answered in place or refused there.

https://docs.aws.amazon.com/bedrock/latest/userguide/batch-inference-data.html and …/batch-inference-results.html.
"""

from __future__ import annotations

import itertools
import json
import random
from typing import TYPE_CHECKING, Any

import orjson

from sandbox.aws_face import foundation, lines
from sandbox.aws_face.attempt import Attempt
from sandbox.aws_face.foundation import Answer
from sandbox.damage import is_ordered_to_fail
from sandbox.ids import derived
from sandbox.odd_lines import bedrock_error, odd_row
from sandbox.openai_face.results import shuffle_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sandbox.aws_face.jobs import Jobs

CHUNK_RECORDS = 256
MANIFEST = "manifest.json.out"
# Bedrock's words for customization jobs; that batch jobs have the same was not verified.
# https://docs.aws.amazon.com/bedrock/latest/userguide/fine-tuning-troubleshooting.html
NOT_READABLE = "Could not validate GetObject permissions to access Amazon S3 bucket: {bucket} at key {key}"
NOT_WRITABLE = (
    "Amazon S3 perms missing (PutObject): Could not validate PutObject permissions to access S3 bucket: {bucket} at "
    "key {key}"
)
# As users of jobs below the quota quote it; not verified against Bedrock.
TOO_FEW = "Batch job contains less records ({count}) than the required minimum of: {least}"


class Failed(Exception):
    """What validation finds wrong."""


class Invocation(Attempt):
    KIND = "invocation"

    def __init__(self, jobs: Jobs, id: str, run: int, check: Callable[[], None]) -> None:
        super().__init__(jobs, id, run, check)
        self._counts = dict.fromkeys(
            (
                "totalRecordCount", "processedRecordCount", "successRecordCount", "errorRecordCount",
                "inputTokenCount", "outputTokenCount",
            ),
            0,
        )  # fmt: skip
        self._bucket, self._prefix = lines.place(self._asked["inputDataConfig"]["s3InputDataConfig"]["s3Uri"])

    def _execute(self) -> None:
        self._jobs.tell(self._id, self._run_number, validating=True)
        try:
            keys = self._validate()
        except Failed as error:
            self._end("Failed", [], str(error))
            return
        if float(self._faults.get("expire", {}).get("fraction", 0.5)) == 0:
            self._end("Expired", [])
            return
        self._jobs.tell(self._id, self._run_number, ready=True, counts=self._counts)
        outcome, end = self._share()
        bucket, prefix = lines.place(self._asked["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"])
        folder = lines.joined(prefix, self._asked["jobArn"].rpartition("/")[2])
        outputs = []
        for number, key in enumerate(keys):
            name = self._draft(number)
            self._file(key, end, self._jobs.box.state.work / name)
            target = lines.joined(folder, f"{lines.below(key, self._prefix)}.out")
            outputs.append({"bucket": bucket, "key": target, "file": name})
        name = self._draft("manifest")
        (self._jobs.box.state.work / name).write_bytes(orjson.dumps(self._counts))
        outputs.append({"bucket": bucket, "key": lines.joined(folder, MANIFEST), "file": name})
        self._end(outcome, outputs)

    def _end(self, outcome: str, outputs: list[dict[str, Any]], reason: str | None = None) -> None:
        self._jobs.tell(
            self._id, self._run_number, done=True, ready=True, outcome=outcome, reason=reason, outputs=outputs,
            counts=self._counts,
        )  # fmt: skip

    def _share(self) -> tuple[str, int]:
        """What the job ends as, and before which record."""
        total = self._counts["totalRecordCount"]
        if self._work["stop"] is not None:
            return "Stopped", int(total * self._work["stop"]["fraction"])
        for fault, outcome in (("expire", "PartiallyCompleted"), ("cancel", "Stopped")):
            if fault in self._faults:
                return outcome, int(total * float(self._faults[fault].get("fraction", 0.5)))
        return "Completed", total

    def _validate(self) -> list[str]:
        """The keys of the input files; counts the records. Raises Failed."""
        if "fail_batch" in self._faults:
            default = "The job failed for an internal reason. (ordered from the sandbox)"
            raise Failed(str(self._faults["fail_batch"].get("message", default)))
        role = self._asked["roleArn"]
        found = self._jobs.objects.keys(self._bucket, self._prefix)
        keys = [key for key in found if key.endswith(".jsonl") and self._is_below(key)]
        if role.endswith("-denied") or not keys:
            raise Failed(NOT_READABLE.format(bucket=self._bucket, key=self._prefix))
        bucket, prefix = lines.place(self._asked["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"])
        if role.endswith("-read-only") or not self._jobs.objects.has_bucket(bucket):
            raise Failed(NOT_WRITABLE.format(bucket=bucket, key=prefix))
        for key in keys:
            for number, line in enumerate(lines.split(self._jobs.objects.read(self._bucket, key)), start=1):
                if number % CHUNK_RECORDS == 0:
                    self._check()
                if line.strip():
                    self._counts["totalRecordCount"] += 1
                    _check_record(line, key, number)
        if (count := self._counts["totalRecordCount"]) < self._work["least"]:
            raise Failed(TOO_FEW.format(count=count, least=self._work["least"]))
        return keys

    def _is_below(self, key: str) -> bool:
        """The address is one file or a folder, not the beginning of a name."""
        return key == self._prefix or not self._prefix or key.startswith(f"{self._prefix.rstrip('/')}/")

    def _file(self, key: str, end: int, target: Path) -> None:
        records = (line for line in lines.split(self._jobs.objects.read(self._bucket, key)) if line.strip())
        with target.open("wb") as out:
            for number in itertools.count():
                self._check()
                left = end - self._counts["processedRecordCount"]
                chunk = [json.loads(line) for line in itertools.islice(records, min(CHUNK_RECORDS, max(left, 0)))]
                if not chunk:
                    break
                found = list(self._answered(chunk, key))
                # The order need not be the input's; https://docs.aws.amazon.com/bedrock/latest/userguide/batch-inference-results.html
                random.Random(f"{self._id}/{key}/{number}").shuffle(found)
                out.writelines(map(self._odd.treat, found))
                self._jobs.tell(self._id, self._run_number, counts=self._counts)
        if "reorder" in self._faults:
            shuffle_file(target, self._id)

    def _answered(self, chunk: list[dict[str, Any]], key: str) -> Iterator[bytes]:
        answers = foundation.answer_all(self._asked["modelId"], [record["modelInput"] for record in chunk])
        for record, found in zip(chunk, answers, strict=True):
            index = self._counts["processedRecordCount"]
            id_ = record.get("recordId") or derived(self._id, key, index, length=11).upper()
            answer = found
            if (ordered := is_ordered_to_fail(self._faults, index, {id_})) is not None:
                message = ordered.get("message", "This row was told to fail. (ordered from the sandbox)")
                answer = Answer(None, (int(ordered.get("status_code", 400)), message))
            shape = odd_row(self._faults, index)
            odd = bedrock_error(shape) if shape else None
            if shape:
                answer = Answer(None, (500, ""))
            self._count(answer)
            while self._damage.foreign and answer.error is None:
                yield _line(f"foreign-{self._damage.foreign}", record["modelInput"], answer)
                self._damage.foreign -= 1
            line = _line(id_, record["modelInput"], answer)
            if odd is not None:
                line = orjson.dumps({"recordId": id_, "modelInput": record["modelInput"], "error": odd}) + b"\n"
            treated = [line[:-1]] if answer.error else self._damage.treat(line[:-1])
            self._counts["successRecordCount"] -= not treated
            yield from (part + b"\n" for part in treated)

    def _count(self, answer: Answer) -> None:
        self._counts["processedRecordCount"] += 1
        self._counts["errorRecordCount" if answer.error else "successRecordCount"] += 1
        self._counts["inputTokenCount"] += answer.input_tokens
        self._counts["outputTokenCount"] += answer.output_tokens


def _check_record(line: bytes, key: str, number: int) -> None:
    """Whether modelInput fits the model is not checked here, as with Bedrock."""
    try:
        record = json.loads(line)
    except ValueError:
        record = None
    if not isinstance(record, dict) or not isinstance(record.get("modelInput"), dict):
        message = "it is not a JSON object with a modelInput that is one"
        raise Failed(f"The record in line {number} of {key} has a wrong format: {message}.")
    if not isinstance(record.get("recordId", ""), str):
        raise Failed(f"The record in line {number} of {key} has a wrong format: its recordId is not a string.")


def _line(id_: str, model_input: Any, answer: Answer) -> bytes:
    row = {"recordId": id_, "modelInput": model_input}
    if answer.error:
        row["error"] = {"errorCode": answer.error[0], "errorMessage": answer.error[1]}
    else:
        row["modelOutput"] = answer.body
    return orjson.dumps(row, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE)
