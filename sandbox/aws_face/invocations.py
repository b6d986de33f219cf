"""Model invocation jobs as Bedrock's API has them: the requests it accepts, and the states it shows.

A job stopped in progress has done half of its records; these are written and charged. A job stopped earlier has done
none. A role with a name that ends in `-denied` may not read, in `-read-only` not write.
"""

from __future__ import annotations

import datetime
import secrets
import string
import time
from typing import TYPE_CHECKING, Any

from sandbox.aws_face import foundation, lines
from sandbox.aws_face.caller import AWSError
from sandbox.aws_face.invocation import NOT_WRITABLE, Invocation
from sandbox.aws_face.jobs import Document, Jobs, new_work
from sandbox.aws_face.paging import newest_first, page
from sandbox.aws_face.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.aws_face.caller import Caller
    from sandbox.aws_face.objects import Objects
    from sandbox.box import Box

FINAL = ("Completed", "PartiallyCompleted", "Failed", "Stopped", "Expired")
QUEUED = ["Submitted", "Validating", "Scheduled"]
# https://docs.aws.amazon.com/general/latest/gr/bedrock.html: set for each model, 100 for most of them.
LEAST_RECORDS = 100
DEFAULT_HOURS = 24
LIST_MOST = 100
COUNTS = ("totalRecordCount", "processedRecordCount", "successRecordCount", "errorRecordCount")
# Seen of Bedrock's customization jobs, https://github.com/apache/airflow/pull/38693; of batch jobs it was not verified.
NAME_TAKEN = "The provided job name is currently in use."


class Life:
    kind = "invocation_job"

    def way(self, work: Document) -> list[str]:
        outcome = work["outcome"] or "Completed"
        if work["stop"] is not None and outcome != "Failed":
            return ["Stopping", "Stopped"]
        if outcome == "Failed":
            return ["Submitted", "Validating", "Failed"]
        if outcome == "Expired":
            return [*QUEUED, "Expired"]
        if outcome == "Stopped":
            return [*QUEUED, "InProgress", "Stopping", "Stopped"]
        return [*QUEUED, "InProgress", outcome]

    def possible(self, work: Document) -> int:
        if work["stop"] is not None:
            return 0
        return 3 if work["ready"] else 1

    def enter(self, public: Document, work: Document, phase: str, now: float) -> None:
        public["status"] = phase
        public["lastModifiedTime"] = _iso(now)
        work["changed_at"] = now
        if phase in FINAL:
            public["endTime"] = _iso(now)
            if work["reason"] is not None:
                public["message"] = work["reason"]
        if phase in ("InProgress", *FINAL):
            public.update({name: work["counts"].get(name, 0) for name in COUNTS})

    def no_output(self, work: Document, bucket: str) -> None:
        work.update(outcome="Failed", reason=NOT_WRITABLE.format(bucket=bucket, key=""))


class Invocations:
    def __init__(self, box: Box, objects: Objects) -> None:
        self._box = box
        self.jobs = Jobs(box, objects, Life())
        self.worker = Worker(self.jobs, self._run, "sandbox-invocation")

    def _run(self, id: str, run: int, check: Callable[[], None]) -> None:
        Invocation(self.jobs, id, run, check).run()

    def create(self, asked: dict[str, Any], caller: Caller) -> dict[str, Any]:
        """A token seen before gets its job's ARN again, whatever else is asked for: botocore's model says of it that
        Bedrock "ignores the request, but does not return an error"."""
        _check(asked)
        token = asked.get("clientRequestToken") or secrets.token_hex(16)
        with self.jobs.deciding:
            for other in self._own(caller):
                if other["public"]["clientRequestToken"] == token:
                    return {"jobArn": other["public"]["jobArn"]}
            for other in self._own(caller):
                if other["public"]["jobName"] == asked["jobName"]:
                    raise AWSError(400, "ValidationException", NAME_TAKEN)
            arn = _arn("".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(12)), caller)
            least = self._box.faults.take("min_records")
            work = new_work(self._box.faults.take_for_batch())
            work["least"] = int(least.number("count", LEAST_RECORDS)) if least else LEAST_RECORDS
            self.jobs.put(arn, _new(asked, arn, token, work["made_at"]), work)
        self.worker.take(arn)
        return {"jobArn": arn}

    def get(self, asked: dict[str, Any], caller: Caller) -> dict[str, Any]:
        arn = self._find(asked["jobIdentifier"], caller)
        body = self.jobs.look(arn, counts=True)
        assert body is not None
        public: dict[str, Any] = body["public"]
        if public["status"] == "InProgress":
            return public | {name: body["work"]["counts"].get(name, 0) for name in COUNTS}
        return public

    def stop_job(self, asked: dict[str, Any], caller: Caller) -> dict[str, Any]:
        arn = self._find(asked["jobIdentifier"], caller)
        with self.jobs.deciding:
            body = self.jobs.look(arn, counts=False)
            assert body is not None
            status, work = body["public"]["status"], body["work"]
            if status in FINAL:
                message = f"The model invocation job cannot be stopped: its status is {status}."
                raise AWSError(400, "ConflictException", message)
            if status == "Stopping":
                return {}
            stop = {"at": time.time(), "reads": work["reads"], "fraction": 0.5 if status == "InProgress" else 0}
            known = {"stop": stop, "run": work["run"] + 1, "outcome": "Stopped", "reason": None, "outputs": []}
            if stop["fraction"]:
                self.jobs.change(arn, done=False, **known)
            else:
                self.jobs.change(arn, done=True, counts={}, **known)
            for output in work["outputs"]:
                (self._box.state.work / output["file"]).unlink(missing_ok=True)
            # Shown at once: `Stopping` is the first phase of the way from here.
            self.jobs.look(arn, counts=False)
        self.worker.take(arn)
        return {}

    def list_jobs(self, asked: dict[str, Any], caller: Caller) -> dict[str, Any]:
        after, before = _seconds(asked.get("submitTimeAfter")), _seconds(asked.get("submitTimeBefore"))
        found = [body for body in self._own(caller) if _is_wanted(body, asked, after, before)]
        found = newest_first(
            found, lambda body: body["work"]["made_at"], ascending=asked.get("sortOrder") == "Ascending"
        )
        shown, token = page(found, asked.get("nextToken"), asked.get("maxResults", LIST_MOST))
        answer: dict[str, Any] = {"invocationJobSummaries": [body["public"] for body in shown]}
        return answer | ({"nextToken": token} if token else {})

    def ledger(self) -> list[dict[str, Any]]:
        """Every job that was accepted, with the records and tokens that would have been billed."""
        found = []
        for id_ in self.jobs.ids():
            body = self.jobs.look(id_, counts=False)
            if body is None:
                continue
            public, work = body["public"], body["work"]
            found.append(
                {
                    "provider": "bedrock",
                    "id": public["jobArn"],
                    "name": public["jobName"],
                    "input": public["inputDataConfig"]["s3InputDataConfig"]["s3Uri"],
                    "model": public["modelId"],
                    "requests": work["counts"].get("processedRecordCount", 0),
                    "status": public["status"],
                    "created_at": int(work["made_at"]),
                    "input_tokens": work["counts"].get("inputTokenCount", 0),
                    "output_tokens": work["counts"].get("outputTokenCount", 0),
                }
            )
        return found

    def _own(self, caller: Caller) -> list[Document]:
        """The caller's jobs in its region."""
        prefix = _arn("", caller)
        ids = [id_ for id_ in self.jobs.ids() if id_.startswith(prefix)]
        return [body for id_ in ids if (body := self.jobs.look(id_, counts=False))]

    def _find(self, identifier: str, caller: Caller) -> str:
        """ARN of the job of this ARN or bare id; raises AWSError (404)."""
        arn = identifier if identifier.startswith("arn:") else _arn(identifier, caller)
        if not arn.startswith(_arn("", caller)) or self.jobs.get(arn) is None:
            raise AWSError(404, "ResourceNotFoundException", f"Could not find a model invocation job {identifier}.")
        return arn


def _check(asked: dict[str, Any]) -> None:
    foundation.family_of(asked["modelId"])
    if asked.get("modelInvocationType", "InvokeModel") != "InvokeModel":
        message = f"the sandbox does not serve modelInvocationType {asked['modelInvocationType']}"
        raise AWSError(501, "NotServedByTheSandbox", message)
    for side, name in (("inputDataConfig", "s3InputDataConfig"), ("outputDataConfig", "s3OutputDataConfig")):
        if name not in asked[side]:
            raise AWSError(400, "ValidationException", f"{side} has no {name}.")
    bucket, key = lines.place(asked["inputDataConfig"]["s3InputDataConfig"]["s3Uri"])
    if not key and not bucket:
        raise AWSError(400, "ValidationException", "The input location is empty.")


def _new(asked: dict[str, Any], arn: str, token: str, now: float) -> Document:
    hours = asked.get("timeoutDurationInHours", DEFAULT_HOURS)
    names = ("jobName", "modelId", "roleArn", "inputDataConfig", "outputDataConfig", "vpcConfig")
    return {
        "jobArn": arn,
        **{name: asked[name] for name in names if name in asked},
        "clientRequestToken": token,
        "submitTime": _iso(now),
        "timeoutDurationInHours": hours,
        "jobExpirationTime": _iso(now + hours * 3600),
        "modelInvocationType": "InvokeModel",
    }


def _is_wanted(body: Document, asked: dict[str, Any], after: float | None, before: float | None) -> bool:
    public, made_at = body["public"], body["work"]["made_at"]
    return (
        asked.get("nameContains", "") in public["jobName"]
        and asked.get("statusEquals", public["status"]) == public["status"]
        and (after is None or made_at > after)
        and (before is None or made_at < before)
    )


def _arn(id: str, caller: Caller) -> str:
    return f"arn:aws:bedrock:{caller.region}:{caller.account}:model-invocation-job/{id}"


def _iso(seconds: float) -> str:
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return datetime.datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise AWSError(400, "ValidationException", f"{text!r} is not a time in ISO 8601.") from None
