"""Bedrock's model invocation jobs: a shard as one file, answers in a folder named by the job's own id."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import orjson

from opensearch_batch.errors import Refused, Unavailable
from opensearch_batch.providers.aws import s3_layout
from opensearch_batch.providers.aws.s3_jobs import PAGE, S3Jobs
from opensearch_batch.providers.aws.session import asked, plain
from opensearch_batch.providers.bedrock import provider as bedrock
from opensearch_batch.storage import open_binary

if TYPE_CHECKING:
    from opensearch_batch.flow.answers import Usage
    from opensearch_batch.flow.jobs import Outcome
    from opensearch_batch.flow.shards import Shard

RECORDS = "records.jsonl"
MANIFEST = "manifest.json.out"
MADE = ".jsonl.out"
PAGES_BACK = 10
"""Pages of the list of jobs walked for a foreign input."""

ENDED = ("Completed", "PartiallyCompleted", "Failed", "Stopped", "Expired")


class InvocationJobs(S3Jobs):
    SERVICE = "bedrock"
    ARN = "jobArn"

    def _put(self, shard: Shard, folder: str) -> int:
        uri = f"{folder}{RECORDS}"
        with open_binary(shard.uri) as source:
            self._files.upload(uri, source)
        if (size := self._files.size(uri)) != shard.bytes:
            raise Unavailable(f"upload {uri}: {size} of {shard.bytes} bytes arrived")
        return size

    def find_jobs(self, input_file_id: str) -> list[dict[str, Any]]:
        ours = s3_layout.is_ours(input_file_id)
        named = {"nameContains": s3_layout.job_name(input_file_id)} if ours else {}
        found = islice(self._listed(named), PAGE * PAGES_BACK)
        jobs = [each for each in found if bedrock.input_file_id(each) == input_file_id]
        return [self._with_outputs(each) for each in reversed(jobs)]

    def get_job(self, job_id: str) -> dict[str, Any]:
        answer = asked(lambda: self._jobs.get_model_invocation_job(jobIdentifier=job_id), f"get job {job_id}")
        return self._with_outputs(plain(answer))

    def _with_outputs(self, document: dict[str, Any]) -> dict[str, Any]:
        if document.get("status") in ENDED and (output := _output(document)):
            folder = _folder(output, str(document["jobArn"]))
            document["OutputFiles"] = sum(each.uri.endswith(MADE) for each in self._files.found(folder))
        return document

    def recent_jobs(self, since: float) -> Iterator[dict[str, Any]]:
        return self._summaries(since)

    def _summaries(self, since: float | None) -> Iterator[dict[str, Any]]:
        return self._listed({"submitTimeAfter": since} if since else {})

    def _listed(self, wanted: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Newest first."""
        query = {"sortBy": "CreationTime", "sortOrder": "Descending", "maxResults": PAGE, **wanted}
        while True:
            page = asked(lambda: self._jobs.list_model_invocation_jobs(**query), "list model invocation jobs")
            for each in page.get("invocationJobSummaries", []):
                yield plain(each)
            if not (token := page.get("nextToken")):
                return
            query["nextToken"] = token

    def cancel_job(self, job_id: str) -> None:
        try:
            asked(lambda: self._jobs.stop_model_invocation_job(jobIdentifier=job_id), f"stop job {job_id}")
        except Refused:
            if self.get_job(job_id)["status"] not in ("Stopping", "Stopped"):
                raise

    def answers(self, outcome: Outcome) -> Iterator[bytes]:
        for output in outcome.outputs:
            for each in self._files.found(_folder(output, outcome.job.provider_job_id)):
                if each.uri.endswith(MADE):
                    yield from self._files.lines(each.uri, each.size)

    def usage(self, outcome: Outcome) -> Usage | None:
        """Return the usage in the job's manifest; a stopped or failed job may have no manifest."""
        for output in outcome.outputs:
            uri = _folder(output, outcome.job.provider_job_id) + MANIFEST
            if self._files.size(uri) is not None:
                return bedrock.usage_of(orjson.loads(self._files.read(uri)))
        return None


def _output(document: dict[str, Any]) -> str | None:
    return ((document.get("outputDataConfig") or {}).get("s3OutputDataConfig") or {}).get("s3Uri")


def _folder(output: str, job_arn: str) -> str:
    return f"{output.rstrip('/')}/{job_arn.rpartition('/')[2]}/"
