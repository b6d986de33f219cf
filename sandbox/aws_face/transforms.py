"""Transform jobs as SageMaker's API has them: the requests it accepts, and the states it shows.

The refusal of an input without objects is quoted in https://github.com/aws/amazon-sagemaker-examples/issues/2414; no
public source has AWS's words for an unknown job. A role with a name that ends in `-denied` may not read, in
`-read-only` not write.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from sandbox.aws_face import filters, lines
from sandbox.aws_face.caller import AWSError
from sandbox.aws_face.jobs import Document, Jobs, new_work
from sandbox.aws_face.paging import newest_first, page
from sandbox.aws_face.transform import BAD_RECORD, MOST_PAYLOAD_MB, Transform
from sandbox.aws_face.worker import Worker
from sandbox.fault_kinds import BATCH_FAULTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.aws_face.caller import Caller
    from sandbox.aws_face.models import Models
    from sandbox.aws_face.objects import Objects
    from sandbox.box import Box

FINAL = ("Completed", "Failed", "Stopped")
TAKEN = "Job name must be unique within an AWS account and region, and a job with this name already exists ({arn})"
NO_OBJECTS = (
    'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the bucket exists in the '
    'selected region ({region}), that objects exist under that S3 prefix, and that the role "{role}" has '
    '"s3:ListBucket" permissions on bucket "{bucket}".'
)
# A transform job has no time it must end in, so this one waits for a job that has.
FAULTS = tuple(name for name in BATCH_FAULTS if name != "expire")


class Life:
    kind = "transform_job"

    def way(self, work: Document) -> list[str]:
        if work["stop"] is not None:
            return ["Stopping", "Stopped"]
        return ["Starting", "InProgress", work["outcome"] or "Completed"]

    def possible(self, work: Document) -> int:
        return 1 if work["ready"] and work["stop"] is None else 0

    def enter(self, public: Document, work: Document, phase: str, now: float) -> None:
        public["TransformJobStatus"] = "InProgress" if phase == "Starting" else phase
        work["changed_at"] = now
        if phase == "InProgress":
            public["TransformStartTime"] = _milliseconds(work["began_at"])
        if phase in FINAL:
            public["TransformEndTime"] = _milliseconds(now)
            if work["reason"] is not None:
                public["FailureReason"] = work["reason"]

    def no_output(self, work: Document, bucket: str) -> None:
        work.update(outcome="Failed", reason=f"{BAD_RECORD} (the output bucket {bucket} cannot be written)")


class Transforms:
    def __init__(self, box: Box, objects: Objects, models: Models) -> None:
        self._box, self._objects, self._models = box, objects, models
        self.jobs = Jobs(box, objects, Life())
        self.worker = Worker(self.jobs, self._run, "sandbox-transform")

    def _run(self, id: str, run: int, check: Callable[[], None]) -> None:
        Transform(self.jobs, id, run, check).run()

    def create(self, asked: dict[str, Any], caller: Caller) -> dict[str, Any]:
        name = asked["TransformJobName"]
        arn = _arn(name, caller)
        with self.jobs.deciding:
            if self.jobs.get(arn) is not None:
                raise AWSError(400, "ResourceInUse", TAKEN.format(arn=arn))
            role = str(self._models.get(asked["ModelName"], caller).get("ExecutionRoleArn", ""))
            self._check(asked, caller, role)
            public = {
                key: value for key, value in asked.items() if key not in ("Tags", "TransformJobStatus")
            } | {"TransformJobArn": arn}  # fmt: skip
            public.setdefault("DataProcessing", {"InputFilter": "$", "OutputFilter": "$", "JoinSource": "None"})
            work = new_work(self._box.faults.take_for_batch(FAULTS)) | {"output_denied": role.endswith("-read-only")}
            public["CreationTime"] = _milliseconds(work["made_at"])
            self.jobs.put(arn, public, work)
        self.worker.take(arn)
        return {"TransformJobArn": arn}

    def describe(self, asked: dict[str, Any], caller: Caller) -> dict[str, Any]:
        name = asked["TransformJobName"]
        body = self.jobs.look(_arn(name, caller), counts=True)
        if body is None:
            raise AWSError(400, "ValidationException", f"Could not find job to describe with name {name}.")
        public: dict[str, Any] = body["public"]
        return public

    def stop_job(self, asked: dict[str, Any], caller: Caller) -> dict[str, Any]:
        name = asked["TransformJobName"]
        arn = _arn(name, caller)
        with self.jobs.deciding:
            body = self.jobs.look(arn, counts=False)
            if body is None:
                raise AWSError(400, "ValidationException", f"Could not find job to update with name {name}.")
            status, work = body["public"]["TransformJobStatus"], body["work"]
            if status in (*FINAL, "Stopping"):
                message = f"The request was rejected because the transform job is in status {status}"
                raise AWSError(400, "ValidationException", message)
            stop = {"at": time.time(), "reads": work["reads"]}
            self.jobs.change(
                arn, stop=stop, run=work["run"] + 1, done=True, outcome="Stopped", reason=None, outputs=[]
            )  # fmt: skip
            for output in work["outputs"]:
                (self._box.state.work / output["file"]).unlink(missing_ok=True)
            # Shown at once: `Stopping` is the first phase of the way from here.
            self.jobs.look(arn, counts=False)
        return {}

    def list_jobs(self, asked: dict[str, Any], caller: Caller) -> dict[str, Any]:
        found = [body for id_ in self.jobs.ids() if id_.startswith(_arn("", caller)) and (body := self._seen(id_))]
        found = [body for body in found if _is_wanted(body, asked)]
        order = {
            "Name": lambda body: body["public"]["TransformJobName"],
            "Status": lambda body: body["public"]["TransformJobStatus"],
        }.get(asked.get("SortBy", ""), lambda body: body["public"]["CreationTime"])
        found = newest_first(found, order, ascending=asked.get("SortOrder") == "Ascending")
        shown, token = page(found, asked.get("NextToken"), int(asked.get("MaxResults", 10)))
        answer: dict[str, Any] = {"TransformJobSummaries": [_summary(body) for body in shown]}
        return answer | ({"NextToken": token} if token else {})

    def _seen(self, id: str) -> Document | None:
        return self.jobs.look(id, counts=False)

    def _check(self, asked: dict[str, Any], caller: Caller, role: str) -> None:
        """What AWS turns down by the values of the request; what the sandbox does not do is refused with 501."""
        for name, served in (("SplitType", ("None", "Line")), ("CompressionType", ("None",))):
            if (given := asked["TransformInput"].get(name, "None")) not in served:
                raise _not_served(f"{name} {given}")
        source = asked["TransformInput"]["DataSource"]["S3DataSource"]
        if source["S3DataType"] != "S3Prefix":
            raise _not_served(f"S3DataType {source['S3DataType']}")
        for name in ("InputFilter", "OutputFilter"):
            filters.check(asked.get("DataProcessing", {}).get(name, "$"))
        payload, parallel = asked.get("MaxPayloadInMB", 0), asked.get("MaxConcurrentTransforms", 0)
        if payload > MOST_PAYLOAD_MB or payload * max(parallel, 1) > MOST_PAYLOAD_MB:
            message = (
                f"MaxPayloadInMB {payload} and MaxConcurrentTransforms {parallel} are invalid: "
                f"MaxConcurrentTransforms * MaxPayloadInMB must not exceed {MOST_PAYLOAD_MB} MB."
            )
            raise AWSError(400, "ValidationException", message)
        try:
            bucket, prefix = lines.place(source["S3Uri"])
            lines.place(asked["TransformOutput"]["S3OutputPath"])
        except ValueError as error:
            raise _not_served(str(error)) from None
        if role.endswith("-denied") or not self._objects.keys(bucket, prefix):
            message = NO_OBJECTS.format(uri=source["S3Uri"], region=caller.region, role=role, bucket=bucket)
            raise AWSError(400, "ValidationException", message)


def ledger(transforms: Transforms) -> list[dict[str, Any]]:
    """Every job that was accepted, with the instance time that would have been billed."""
    found = []
    for id_ in transforms.jobs.ids():
        body = transforms.jobs.look(id_, counts=False)
        if body is None:
            continue
        public, work = body["public"], body["work"]
        begun, ended = public.get("TransformStartTime"), public.get("TransformEndTime")
        resources = public["TransformResources"]
        found.append(
            {
                "provider": "sagemaker",
                "id": public["TransformJobArn"],
                "name": public["TransformJobName"],
                "input": public["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"],
                "model": public["ModelName"],
                "requests": work["counts"].get("records", 0),
                "status": public["TransformJobStatus"],
                "created_at": int(public["CreationTime"]),
                "instance_type": resources["InstanceType"],
                "instance_count": resources["InstanceCount"],
                "billable_seconds": max(1, math.ceil(ended - begun)) * resources["InstanceCount"]
                if begun and ended
                else 0,
            }
        )
    return found


def _summary(body: Document) -> dict[str, Any]:
    public = body["public"]
    names = (
        "TransformJobName", "TransformJobArn", "CreationTime", "TransformEndTime", "TransformJobStatus",
        "FailureReason",
    )  # fmt: skip
    shown = {name: public[name] for name in names if name in public}
    return shown | {"LastModifiedTime": _milliseconds(body["work"]["changed_at"])}


def _is_wanted(body: Document, asked: dict[str, Any]) -> bool:
    public, changed_at = body["public"], body["work"]["changed_at"]
    return (
        asked.get("NameContains", "") in public["TransformJobName"]
        and asked.get("StatusEquals", public["TransformJobStatus"]) == public["TransformJobStatus"]
        and public["CreationTime"] > asked.get("CreationTimeAfter", -1)
        and public["CreationTime"] < asked.get("CreationTimeBefore", math.inf)
        and changed_at > asked.get("LastModifiedTimeAfter", -1)
        and changed_at < asked.get("LastModifiedTimeBefore", math.inf)
    )


def _milliseconds(seconds: float) -> float:
    return round(seconds, 3)


def _arn(name: str, caller: Caller) -> str:
    return f"arn:aws:sagemaker:{caller.region}:{caller.account}:transform-job/{name}"


def _not_served(what: str) -> AWSError:
    return AWSError(501, "NotServedByTheSandbox", f"the sandbox does not serve {what}")
