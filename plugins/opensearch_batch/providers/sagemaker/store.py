"""SageMaker's batch transform jobs: a shard as many small files, answers file by file.

A transform job that meets a bad record gives no output for its file and goes on with the others, so each file has few
rows, and in a repair round one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

import orjson

from opensearch_batch.errors import Refused, Unavailable
from opensearch_batch.providers.aws import s3_layout
from opensearch_batch.providers.aws.s3_jobs import S3Jobs
from opensearch_batch.providers.aws.session import NOT_FOUND, asked, plain
from opensearch_batch.providers.listing import walked
from opensearch_batch.providers.reading import unreadable
from opensearch_batch.providers.sagemaker import provider as sagemaker
from opensearch_batch.providers.shape import entries, inner, needed, of_input, text
from opensearch_batch.storage import open_binary

if TYPE_CHECKING:
    from opensearch_batch.flow.jobs import Outcome
    from opensearch_batch.flow.shards import Shard

ROWS_PER_FILE = 100
REPAIR_FILES = 2000
"""A repair round has a file for each row, but no more files than this for each shard."""

PAGE = 100
PAGES_BACK = 10
"""Of the list of jobs, for an input that is not ours: nothing else finds the jobs of an input."""

ENDED = ("Completed", "Failed", "Stopped")


class TransformJobs(S3Jobs):
    SERVICE = "sagemaker"

    def _put(self, shard: Shard, folder: str) -> int:
        wanted = int(self._job.get("rows_per_file", ROWS_PER_FILE))
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
        """Ours by name: it is unique, and tells which input it reads."""
        if not s3_layout.is_ours(input_file_id):
            recent = islice(self._recent(0.0), PAGE * PAGES_BACK)
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
        return self._described(job_id.rpartition("/")[2])

    def _described(self, name: str) -> dict[str, Any]:
        answer = asked(
            lambda: self._jobs.describe_transform_job(TransformJobName=name), f"describe transform job {name}"
        )
        document = plain(answer)
        output = text(inner(document, "TransformOutput", "S3OutputPath"))
        if document.get("TransformJobStatus") in ENDED and output:
            document["OutputFiles"] = sum(1 for _ in islice(self._files.found(output), PAGE))
        return document

    def recent_jobs(self, since: float) -> Iterator[dict[str, Any]]:
        """Those that run are described, because the list names neither model nor input. Of those that ended the input
        is told by our own jobs' names alone.
        """
        for summary in self._recent(since):
            name = _name(summary)
            if summary.get("TransformJobStatus") not in ENDED:
                yield self._described(name)
            else:
                yield {**sagemaker.submit_parameters(s3_layout.input_id(self._files_uri, name)), **summary}

    def _recent(self, since: float) -> Iterator[dict[str, Any]]:
        query: dict[str, Any] = {"SortBy": "CreationTime", "SortOrder": "Descending", "MaxResults": PAGE}
        if since:
            query["CreationTimeAfter"] = since
        what = "list transform jobs"

        def page_at(token: str | None) -> tuple[list[dict[str, Any]], str | None]:
            more = {"NextToken": token} if token else {}
            page = asked(lambda: self._jobs.list_transform_jobs(**query, **more), what)
            return [plain(each) for each in entries(page, "TransformJobSummaries", what)], text(page.get("NextToken"))

        return walked(page_at, lambda each: each.get("TransformJobArn"), what)

    def list_jobs(self, ids: Collection[str], most_pages: int, since: float | None) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for summary in islice(self._recent(since or 0.0), most_pages * PAGE):
            if (job_id := sagemaker.job_id(summary)) in ids:
                found[str(job_id)] = summary
            if len(found) == len(ids):
                break
        return found

    def cancel_job(self, job_id: str) -> None:
        """One that is being stopped is refused, and the cluster takes the empty answer to a stop for an error."""
        name = job_id.rpartition("/")[2]
        try:
            asked(lambda: self._jobs.stop_transform_job(TransformJobName=name), f"stop transform job {name}")
        except Refused:
            if self.get_job(job_id).get("TransformJobStatus") not in ("Stopping", "Stopped"):
                raise
            return
        if sagemaker.read_job(self.get_job(job_id)).state == "running":
            raise Unavailable(f"stop transform job {name}: it runs on")

    def answers(self, outcome: Outcome) -> Iterator[bytes]:
        """File by file; the rows of a file without output are told with the job's reason, where it failed.

        Where none of several files has output it is no single record's fault, and no row of them goes again alone.
        """
        if not outcome.outputs:
            return
        folder, output = str(outcome.job.input_file_id), outcome.outputs[0].rstrip("/") + "/"
        outputs = {each.uri.removeprefix(output): each for each in self._files.found(output)}
        without, came = [], 0
        for source in self._files.found(folder):
            if made := outputs.get(source.uri.removeprefix(folder) + ".out"):
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
        """As they came where the job joined them; else each with the record at its place, if there are as many."""
        lines = self._files.lines(made, size)
        first = next(lines, b"")
        if _is_joined(first):
            yield first
            yield from lines
            return
        outputs = [line for line in (first, *lines) if line.strip()]
        records = [line for line in self._files.lines(source) if line.strip()]
        if len(outputs) != len(records):
            yield unreadable(f"{len(outputs)} outputs for {len(records)} records: which is whose cannot be told")
            return
        for record, output in zip(records, outputs, strict=True):
            yield sagemaker.paired(record, output)

    def usage(self, outcome: Outcome) -> None:
        """The job tells."""


def _name(summary: Mapping[str, Any]) -> str:
    return needed(summary, "TransformJobName", "list transform jobs")


def _is_joined(line: bytes) -> bool:
    try:
        said = orjson.loads(line)
    except ValueError:
        return False
    return isinstance(said, Mapping) and "SageMakerOutput" in said
