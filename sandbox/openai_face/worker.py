"""Runs batches one after the other in a thread of its own; what a kill interrupted is run again from its first line."""

from __future__ import annotations

import itertools
import json
import time
from typing import TYPE_CHECKING, Any

from sandbox.backlog import Backlog, Stopped
from sandbox.damage import is_ordered_to_fail
from sandbox.openai_face import jobs
from sandbox.openai_face.answers import Answer, answer_all
from sandbox.openai_face.errors import OpenAIError
from sandbox.openai_face.results import Results
from sandbox.openai_face.validation import validate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sandbox.box import Box


CHUNK_ROWS = 256
# How often a long run tells how far it is.
PROGRESS_SECONDS = 0.2
NOT_RUN = {
    "expired": ("batch_expired", "This request could not be executed before the completion window expired."),
    "cancelled": ("batch_cancelled", "This request was not executed because the batch was cancelled."),
}


class Worker:
    def __init__(self, box: Box) -> None:
        self._box = box
        self._backlog = Backlog("sandbox-worker", self._run, self._failed)
        self.take, self.stop = self._backlog.take, self._backlog.stop

    def start(self) -> None:
        found = self._box.state.all(jobs.KIND)
        self._backlog.start(stored.id for stored in found if not stored.body["work"]["done"])

    def _run(self, batch_id: str) -> None:
        Run(self._box, batch_id, self._backlog).run()

    def _failed(self, batch_id: str, error: Exception) -> None:
        refusal = {"code": "sandbox_error", "message": repr(error), "param": None, "line": None}
        self._box.state.update(jobs.KIND, batch_id, _failure([refusal]))


class Run:
    """One batch from its input file to its result files."""

    def __init__(self, box: Box, batch_id: str, backlog: Backlog) -> None:
        self._box, self._id, self._backlog = box, batch_id, backlog
        self._told = time.monotonic()

    def run(self) -> None:
        stored = self._box.state.get(jobs.KIND, self._id)
        if stored is None or stored.body["work"]["done"]:
            return
        public, work = stored.body["public"], stored.body["work"]
        faults = work["faults"]
        source = self._box.state.files / public["input_file_id"]
        if not source.exists():
            gone = f"The input file {public['input_file_id']} was deleted before the batch ran."
            self._fail([{"code": "invalid_input_file", "message": gone, "param": "input_file_id", "line": None}])
            return
        finding = validate(source, public["endpoint"])
        self._tell(model=finding.model)
        if "fail_batch" in faults:
            self._fail([_ordered_failure(faults["fail_batch"])])
        elif finding.errors:
            self._fail(finding.errors)
        else:
            counts = {"total": finding.total, "completed": 0, "failed": 0}
            self._tell(validated=True, counts=counts)
            self._execute(source, public["endpoint"], faults, counts)

    def _execute(self, source: Path, endpoint: str, faults: dict[str, Any], counts: dict[str, int]) -> None:
        ordered = "expired" if "expire" in faults else "cancelled" if "cancel" in faults else None
        part = faults.get("expire") or faults.get("cancel") or {}
        end = int(counts["total"] * float(part.get("fraction", 0.5))) if ordered else counts["total"]
        usage = {"input": 0, "output": 0}
        stopped_as = ordered
        with Results(self._id, self._box.state.work, faults) as results:
            for number, chunk in enumerate(_chunks(source)):
                if self._backlog.stopping:
                    raise Stopped
                if stopped_as is None and self._cancel_was_asked():
                    stopped_as, end = "cancelled", chunk[0][0]
                self._answer([row for row in chunk if row[0] < end], endpoint, faults, results, counts, usage)
                for index, request in chunk:
                    if index >= end and stopped_as is not None:
                        results.not_run(index, request["custom_id"], *NOT_RUN[stopped_as])
                results.end_chunk(number)
                self._tell_progress(counts)
            published = results.publish(self._box.state.files)
        self._tell(
            counts=counts,
            results=published,
            outcome=ordered or "completed",
            usage=_usage(usage),
            done=True,
        )

    def _answer(
        self,
        rows: list[tuple[int, dict[str, Any]]],
        endpoint: str,
        faults: dict[str, Any],
        results: Results,
        counts: dict[str, int],
        usage: dict[str, int],
    ) -> None:
        refused = {index: answer for index, request in rows if (answer := _refused(index, request, faults))}
        asked = [(index, request) for index, request in rows if index not in refused]
        answers = dict(
            zip((index for index, _ in asked), answer_all(endpoint, [r["body"] for _, r in asked]), strict=True)
        )
        for index, request in rows:
            answer = refused.get(index) or answers[index]
            is_failed = answer.status >= 400 or results.is_odd(index)
            known = results.answered(index, request["custom_id"], answer)
            counts["failed" if is_failed else "completed"] += known
            usage["input"] += answer.input_tokens
            usage["output"] += answer.output_tokens

    def _cancel_was_asked(self) -> bool:
        stored = self._box.state.get(jobs.KIND, self._id)
        return stored is not None and stored.body["work"]["cancel"] is not None

    def _tell_progress(self, counts: dict[str, int]) -> None:
        if time.monotonic() - self._told >= PROGRESS_SECONDS:
            self._told = time.monotonic()
            self._tell(counts=counts)

    def _tell(self, **known: Any) -> None:
        self._box.state.update(jobs.KIND, self._id, lambda body: body["work"].update(known))

    def _fail(self, errors: list[dict[str, Any]]) -> None:
        self._box.state.update(jobs.KIND, self._id, _failure(errors))


def _failure(errors: list[dict[str, Any]]) -> Any:
    return lambda body: body["work"].update(errors=errors, outcome="failed", validated=True, done=True)


def _ordered_failure(params: dict[str, Any]) -> dict[str, Any]:
    return {
        "code": params.get("code", "token_limit_exceeded"),
        "message": params.get("message", "Enqueued token limit reached for this model. (ordered from the sandbox)"),
        "param": params.get("param"),
        "line": params.get("line"),
    }


def _refused(index: int, request: dict[str, Any], faults: dict[str, Any]) -> Answer | None:
    """The ordered 4xx or 5xx of this row, if one was ordered."""
    params = is_ordered_to_fail(faults, index, {request["custom_id"]})
    if params is None:
        return None
    status = int(params.get("status_code", 400))
    message = params.get("message", "This row was told to fail. (ordered from the sandbox)")
    return Answer.refusal(OpenAIError(status, message, code=params.get("code", "invalid_request")))


def _chunks(source: Path) -> Iterator[list[tuple[int, dict[str, Any]]]]:
    """Requests with their place in the file, blank lines not counted."""
    with source.open("rb") as file:
        rows = enumerate(json.loads(line) for line in file if line.strip())
        while chunk := list(itertools.islice(rows, CHUNK_ROWS)):
            yield chunk


def _usage(tokens: dict[str, int]) -> dict[str, Any]:
    return {
        "input_tokens": tokens["input"],
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": tokens["output"],
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": tokens["input"] + tokens["output"],
    }
