"""Bedrock's model invocation jobs: a shard as one file, answers in a folder named by the job's own id."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import orjson

from opensearch_batch.errors import Refused, Unavailable
from opensearch_batch.providers.aws import s3_layout
from opensearch_batch.providers.aws.s3_jobs import PAGE, S3Jobs
from opensearch_batch.providers.aws.session import from_aws, plain
from opensearch_batch.providers.bedrock import models
from opensearch_batch.providers.bedrock import provider as bedrock
from opensearch_batch.providers.listing import walked
from opensearch_batch.providers.shape import entries, inner, needed, of_input, text
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

    @classmethod
    def parameters(cls, model: str, endpoint: str) -> Collection[str]:
        return models.PARAMETERS[models.family_of(model)]

    def _put(self, shard: Shard, folder: str) -> int:
        uri = f"{folder}{RECORDS}"
        with open_binary(shard.uri) as source:
            self._files.upload(uri, source)
        if (size := self._files.size(uri)) not in (0, shard.bytes):  # 0: some servers do not say
            raise Unavailable(f"upload {uri}: {size} of {shard.bytes} bytes arrived")
        return shard.bytes

    def find_jobs(self, input_file_id: str) -> list[dict[str, Any]]:
        ours = s3_layout.is_ours(input_file_id)
        named = {"nameContains": s3_layout.job_name(input_file_id)} if ours else {}
        found = islice(self._listed(named), PAGE * PAGES_BACK)
        jobs = of_input(found, bedrock.input_file_id, input_file_id, "list model invocation jobs")
        return [self._with_outputs(each) for each in reversed(jobs)]

    def get_job(self, job_id: str) -> dict[str, Any]:
        answer = from_aws(lambda: self._jobs.get_model_invocation_job(jobIdentifier=job_id), f"get job {job_id}")
        return self._with_outputs(plain(answer))

    def _with_outputs(self, document: dict[str, Any]) -> dict[str, Any]:
        if document.get("status") in ENDED and (output := _output(document)):
            folder = _folder(output, needed(document, "jobArn", "get job"))
            document["OutputFiles"] = sum(each.uri.endswith(MADE) for each in self._files.found(folder))
        return document

    def recent_jobs(self, since: float) -> Iterator[dict[str, Any]]:
        return self._summaries(since)

    def _summaries(self, since: float | None) -> Iterator[dict[str, Any]]:
        return self._listed({"submitTimeAfter": since} if since else {})

    def _listed(self, wanted: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Newest first."""
        query = {"sortBy": "CreationTime", "sortOrder": "Descending", "maxResults": PAGE, **wanted}
        what = "list model invocation jobs"

        def page_at(token: str | None) -> tuple[list[dict[str, Any]], str | None]:
            more = {"nextToken": token} if token else {}
            page = from_aws(lambda: self._jobs.list_model_invocation_jobs(**query, **more), what)
            return [plain(each) for each in entries(page, "invocationJobSummaries", what)], text(page.get("nextToken"))

        return walked(page_at, lambda each: each.get(self.ARN), what)

    def cancel_job(self, job_id: str) -> None:
        try:
            from_aws(lambda: self._jobs.stop_model_invocation_job(jobIdentifier=job_id), f"stop job {job_id}")
        except Refused:
            if self.get_job(job_id).get("status") not in ("Stopping", "Stopped"):
                raise
            return
        if bedrock.read_job(self.get_job(job_id)).state == "running":
            raise Unavailable(f"stop job {job_id}: it runs on")

    def answers(self, outcome: Outcome) -> Iterator[bytes]:
        """Raise Unavailable where an output that the job must have is not there: no count may tell, and rows that count
        as missing are paid for again.
        """
        parts = 0
        for output in outcome.outputs:
            for each in self._files.found(_folder(output, outcome.job.provider_job_id)):
                if each.uri.endswith(MADE):
                    parts += 1
                    yield from self._files.lines(each.uri, each.size)
        if not parts and outcome.status in bedrock.WITH_OUTPUT:
            raise Unavailable(
                f"{outcome.job.name}: the provider says {outcome.status}, and there is no output in "
                f"{', '.join(outcome.outputs)}. It is looked for again; nothing is sent again. If that stays, look at "
                "the job's folder in S3",
                retry_after_seconds=60,
            )

    def usage(self, outcome: Outcome) -> Usage | None:
        """Return the usage in the job's manifest; a stopped or failed job may have no manifest."""
        for output in outcome.outputs:
            uri = _folder(output, outcome.job.provider_job_id) + MANIFEST
            if self._files.size(uri) is not None:
                return bedrock.usage_of(_manifest(self._files.read(uri), uri))
        return None


def _manifest(content: bytes, uri: str) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise Unavailable(f"{uri}: no JSON: {error}") from error


def _output(document: dict[str, Any]) -> str | None:
    return text(inner(document, "outputDataConfig", "s3OutputDataConfig", "s3Uri"))


def _folder(output: str, job_arn: str) -> str:
    return f"{output.rstrip('/')}/{job_arn.rpartition('/')[2]}/"
