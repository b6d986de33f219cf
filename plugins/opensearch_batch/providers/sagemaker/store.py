"""SageMaker's batch transform jobs: a shard as many small files, answers file by file.

At a bad record a transform job leaves the whole file without output and goes on with the next file. So a file has few
rows, and in a repair round a single row.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from opensearch_batch.errors import Refused, Unavailable
from opensearch_batch.providers.aws import s3_layout
from opensearch_batch.providers.aws.s3_jobs import PAGE, S3Jobs
from opensearch_batch.providers.aws.session import NOT_FOUND, from_aws, plain
from opensearch_batch.providers.listing import walked
from opensearch_batch.providers.reading import unreadable
from opensearch_batch.providers.sagemaker import provider as sagemaker
from opensearch_batch.providers.shape import entries, inner, needed, of_input, text
from opensearch_batch.storage import open_binary

if TYPE_CHECKING:
    from opensearch_batch.flow.jobs import Outcome
    from opensearch_batch.flow.shards import Shard

REPAIR_FILES = 2000
"""A repair round has a file for every row, but no more than so many files a shard."""

PAGES_BACK = 10
"""Pages of the list of jobs walked for a foreign input: no call finds jobs by input."""

ENDED = ("Completed", "Failed", "Stopped")


class TransformJobs(S3Jobs):
    SERVICE = "sagemaker"
    ARN = "TransformJobArn"

    def _put(self, shard: Shard, folder: str) -> int:
        wanted = int(sagemaker.JobSettings.model_construct(**self._job).rows_per_file)
        rows = max(1, -(-shard.records // REPAIR_FILES)) if shard.round else wanted
        size = 0
        with open_binary(shard.uri) as source:
            lines = iter(source)
            for number in range(shard.records):
                if not (content := b"".join(islice(lines, rows))):
                    break
                self._files.put(f"{folder}{number:06d}.jsonl", content)
                size += len(content)
        if size != shard.bytes:
            raise Unavailable(f"{shard.uri}: {size} of {shard.bytes} bytes could be read")
        return size

    def find_jobs(self, input_file_id: str) -> list[dict[str, Any]]:
        return [self._with_outputs(each) for each in self._jobs_over(input_file_id)]

    def _jobs_over(self, input_file_id: str) -> list[dict[str, Any]]:
        """Find our own job by name: the name is unique, and tells the input."""
        if not s3_layout.is_ours(input_file_id):
            recent = islice(self._summaries(None), PAGE * PAGES_BACK)
            documents = [self._described(_name(summary)) for summary in recent]
            return of_input(documents, sagemaker.input_file_id, input_file_id, "list transform jobs")[::-1]
        name = s3_layout.job_name(input_file_id)
        try:
            document = self._described(name)
        except Refused as error:
            if error.status != NOT_FOUND:
                raise
            return []
        other = needed({"input": sagemaker.input_file_id(document)}, "input", f"describe transform job {name}")
        if other != input_file_id:
            raise Refused(
                f"the name {name} is taken by a transform job that reads {other}, not {input_file_id}: two runs share "
                "this account and name their jobs alike. Start this run under another run id."
            )
        return [document]

    def get_job(self, job_id: str) -> dict[str, Any]:
        return self._with_outputs(self._described(job_id.rpartition("/")[2]))

    def _described(self, name: str) -> dict[str, Any]:
        """The document alone: of jobs of others nothing is listed in S3, where the key may list its own bucket only."""
        answer = from_aws(
            lambda: self._jobs.describe_transform_job(TransformJobName=name), f"describe transform job {name}"
        )
        return plain(answer)

    def _with_outputs(self, document: dict[str, Any]) -> dict[str, Any]:
        output = text(inner(document, "TransformOutput", "S3OutputPath"))
        if document.get("TransformJobStatus") in ENDED and output:
            document["OutputFiles"] = sum(1 for _ in islice(self._files.found(output), PAGE))
        return document

    def recent_jobs(self, since: float) -> Iterator[dict[str, Any]]:
        """Describe running jobs, because the list names neither model nor input. For ended jobs the name of a job of
        ours tells the input.
        """
        for summary in self._summaries(since):
            name = _name(summary)
            if summary.get("TransformJobStatus") not in ENDED:
                yield self._described(name)
            else:
                yield {**sagemaker.submit_parameters(s3_layout.input_id(self._files_uri, name)), **summary}

    def _summaries(self, since: float | None) -> Iterator[dict[str, Any]]:
        query: dict[str, Any] = {"SortBy": "CreationTime", "SortOrder": "Descending", "MaxResults": PAGE}
        if since:
            query["CreationTimeAfter"] = since
        what = "list transform jobs"

        def page_at(token: str | None) -> tuple[list[dict[str, Any]], str | None]:
            more = {"NextToken": token} if token else {}
            page = from_aws(lambda: self._jobs.list_transform_jobs(**query, **more), what)
            return [plain(each) for each in entries(page, "TransformJobSummaries", what)], text(page.get("NextToken"))

        return walked(page_at, lambda each: each.get(self.ARN), what)

    def cancel_job(self, job_id: str) -> None:
        """Stop the job. The vendor refuses a second stop, and the cluster takes the empty answer to a stop for an
        error.
        """
        name = job_id.rpartition("/")[2]
        try:
            from_aws(lambda: self._jobs.stop_transform_job(TransformJobName=name), f"stop transform job {name}")
        except Refused:
            if self.get_job(job_id).get("TransformJobStatus") not in ("Stopping", "Stopped"):
                raise
            return
        if sagemaker.read_job(self.get_job(job_id)).state == "running":
            raise Unavailable(f"stop transform job {name}: it runs on")

    def answers(self, outcome: Outcome) -> Iterator[bytes]:
        """Yield lines file by file; rows of a file without output get the reason of a failed job.

        Where all of several files lack output no single record is at fault, and no row goes again alone.
        """
        if not outcome.outputs:
            return
        folder, output = str(outcome.job.input_file_id), outcome.outputs[0].rstrip("/") + "/"
        outputs = {each.uri.removeprefix(output): each for each in self._files.found(output)}
        without, came = [], 0
        for source in self._inputs(folder):
            if made := outputs.get(_below(source.uri, folder) + s3_layout.MADE):
                for line in self._joined(source.uri, made.uri, made.size):
                    came += bool(line.strip())
                    yield line
            else:
                without.append(source.uri)
        shard = outcome.job.shard
        if outcome.state == "completed" and (without or (shard and came < shard.records)):
            raise Unavailable(
                f"{outcome.job.name} completed, so each record has an output; {came} of "
                f"{shard.records if shard else 'its'} records have one so far, and {len(without)} files have none. "
                "They are read again; nothing is sent again",
                retry_after_seconds=60,
            )
        if outcome.state == "failed":
            one_is_bad = bool(outputs) or len(without) == 1
            code, message = outcome.error_code or "job_failed", outcome.error_message or ""
            for uri in without:
                rows = [line for line in self._files.lines(uri) if line.strip()]
                for line in rows:
                    yield sagemaker.unanswered(line, code, message, len(rows) if one_is_bad else 1)

    def _joined(self, source: str, made: str, size: int) -> Iterator[bytes]:
        """Yield lines joined by the job unchanged; else join output and record by line number, where the numbers of
        lines are equal.
        """
        lines = self._files.lines(made, size)
        begin, is_joined = _begin_of(lines)
        if is_joined:
            yield from begin
            yield from lines
            return
        outputs = [line for line in (*begin, *lines) if line.strip()]
        records = [line for line in self._files.lines(source) if line.strip()]
        if len(outputs) != len(records):
            yield unreadable(f"{len(outputs)} outputs for {len(records)} records: which is whose cannot be told")
            return
        for record, output in zip(records, outputs, strict=True):
            yield sagemaker.paired(record, output)

    def usage(self, outcome: Outcome) -> None:
        """The job's document has the usage."""


def _name(summary: Mapping[str, Any]) -> str:
    return needed(summary, "TransformJobName", "list transform jobs")


def _below(uri: str, prefix: str) -> str:
    """Return the name that a job gives the output of a file, without `.out`: the file's path below the folder that the
    prefix names, or that the prefix lies in.
    """
    if not prefix.endswith("/"):
        prefix = f"{prefix}/" if uri.startswith(f"{prefix}/") else prefix[: prefix.rfind("/") + 1]
    return uri.removeprefix(prefix)


def _begin_of(lines: Iterator[bytes]) -> tuple[list[bytes], bool]:
    """Return the lines up to the first line of JSON, and whether the job joined that line: broken lines do not tell."""
    begin = []
    for line in lines:
        begin.append(line)
        try:
            said = json.loads(line)  # reads NaN, which containers in Python write
        except (ValueError, RecursionError):
            continue
        return begin, isinstance(said, Mapping) and "SageMakerOutput" in said
    return begin, False
