"""Base of stores for jobs over S3: uploads with a marker written last, and the connection of type aws."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, Self

import orjson

from opensearch_batch.errors import Refused, SpecError, Unavailable
from opensearch_batch.extras import imported_from
from opensearch_batch.providers.aws import s3_layout
from opensearch_batch.providers.aws import session as aws
from opensearch_batch.providers.aws.s3_files import Found, S3Files

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from opensearch_batch.flow.shards import Shard

PAGE = 100
"""Jobs a page of a list."""


class S3Jobs:
    """Jobs over S3. `job` is a spec's model.job; only uploads, and lists of uploads, need the files_uri."""

    SERVICE: str
    """boto3's name of the jobs' service."""
    ARN: str
    """Field of a job's summary with the job's id."""

    def __init__(self, connection: Connection, job: Mapping[str, Any]) -> None:
        self._connection, self._job = connection, job

    @classmethod
    def opened(cls, connection: Connection, default_url: str, job: Mapping[str, Any]) -> Self:
        return cls(connection, job)

    @classmethod
    def base_url(cls, connection: Connection, default_url: str) -> str:
        return str(aws.endpoint_of(connection) or default_url).rstrip("/")

    @classmethod
    def settings(cls, connection: Connection) -> dict[str, Any]:
        return {"region": aws.region_of(connection)}

    @classmethod
    def require_libraries(cls) -> None:
        with imported_from("amazon", "a connection of AWS"):
            import boto3  # noqa: F401

    @classmethod
    def parameters(cls, model: str, endpoint: str) -> Collection[str]:
        return ()

    @classmethod
    def credential(cls, names: Mapping[str, Any], connection: Connection) -> dict[str, str]:
        return aws.credential_of(names, connection)

    @cached_property
    def _files(self) -> S3Files:
        return S3Files(aws.client_of(self._connection, "s3"))

    @cached_property
    def _jobs(self) -> Any:
        return aws.client_of(self._connection, self.SERVICE)

    @property
    def _files_uri(self) -> str:
        if not (uri := self._job.get("files_uri")):
            raise SpecError(
                "where the jobs' files lie is not said: model.job.files_uri, or job={'files_uri': 's3://…'}"
            )
        return str(uri)

    @abstractmethod
    def _summaries(self, since: float | None) -> Iterator[dict[str, Any]]:
        """Yield the list's entries of jobs made after `since` (epoch seconds), newest first, by pages."""

    def list_jobs(self, ids: Collection[str], most_pages: int, since: float | None) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for summary in islice(self._summaries(since), most_pages * PAGE):
            if (job_id := summary.get(self.ARN)) in ids:
                found[str(job_id)] = summary
            if len(found) == len(ids):
                break
        return found

    @abstractmethod
    def _put(self, shard: Shard, folder: str) -> int:
        """Write the shard below this folder; return the number of bytes."""

    def upload(self, shard: Shard, name: str) -> str:
        """Remove the rest of a broken upload, then write: new settings may make files of new names."""
        input_id = s3_layout.input_id(self._files_uri, name)
        output_uri = s3_layout.output_uri(input_id)
        if taken := next(self._files.found(output_uri), None):
            raise Refused(
                f"upload {name}: {output_uri} holds files already, e.g. {taken.uri}, and no job of this shard is "
                "known. Take another model.job.files_uri, or remove them."
            )
        self._files.remove(input_id)
        size = self._put(shard, input_id)
        about = {"id": input_id, "bytes": size, "records": shard.records}
        self._files.put(s3_layout.marker_uri(input_id), orjson.dumps(about))
        return input_id

    def find_uploads(self, prefix: str) -> dict[str, str]:
        found = self._files.found(f"{self._files_uri.rstrip('/')}/{s3_layout.UPLOADED}{prefix}")
        names = [each.uri.rpartition("/")[2] for each in found]
        return {name: s3_layout.input_id(self._files_uri, name) for name in names}

    def recent_uploads(self, since: float) -> Iterator[dict[str, Any]]:
        """Yield from the marker of every upload; where all are asked for (`since` 0), in the end also uploads without
        one, which broke off or were not deleted to the end: nothing tells when these were made.
        """
        markers = set()
        found = self._files.found(f"{self._files_uri.rstrip('/')}/{s3_layout.UPLOADED}")
        for each in sorted(found, key=lambda each: each.modified_at, reverse=True):
            if each.modified_at < since:
                return
            if (about := self._told(each.uri)) is None:
                continue
            markers.add(each.uri)
            filename = each.uri.rpartition("/")[2]
            yield {
                "id": about["id"],
                "filename": filename,
                "bytes": about["bytes"],
                "created_at": each.modified_at,
            }
        if since <= 0:
            yield from self._without_marker(markers)

    def _told(self, marker_uri: str) -> dict[str, Any] | None:
        """Return what a marker says; None where the upload has been deleted since the markers were listed."""
        try:
            about: dict[str, Any] = orjson.loads(self._files.read(marker_uri))
        except Refused as error:
            if error.status != aws.NOT_FOUND:
                raise
            return None
        return about

    def _without_marker(self, markers: Collection[str]) -> Iterator[dict[str, Any]]:
        for folder in self._files.folders(f"{self._files_uri.rstrip('/')}/"):
            input_id = f"{folder}{s3_layout.INPUT}"
            marker = s3_layout.marker_uri(input_id)
            if s3_layout.is_ours(input_id) and marker not in markers and (size := self.file_bytes(input_id)):
                yield {"id": input_id, "filename": marker.rpartition("/")[2], "bytes": size, "created_at": 0.0}

    def stored_bytes(self) -> int:
        return sum(each.size for each in self._files.found(self._files_uri.rstrip("/") + "/"))

    def file_bytes(self, file_id: str) -> int | None:
        sizes = [each.size for each in self._files.found(file_id)]
        return sum(sizes) if sizes else None

    def delete_file(self, file_id: str) -> bool:
        """A folder of a job of ours; nothing else. The marker goes first: half an input is no complete upload."""
        folder = file_id.rstrip("/") + "/"
        if not s3_layout.is_ours(folder):
            raise Refused(f"{file_id} is not a folder that this package made, so it is not deleted")
        if folder.endswith(s3_layout.INPUT):
            self._files.remove(s3_layout.marker_uri(folder))
        return self._files.remove(folder) > 0

    def _inputs(self, file_id: str) -> Iterator[Found]:
        """Yield the files of an input. Below a foreign one its job has written the output."""
        output = s3_layout.output_uri(file_id)
        for each in self._files.found(file_id):
            if not (each.uri.startswith(output) and each.uri.endswith(s3_layout.MADE)):
                yield each

    def lines(self, file_id: str) -> Iterator[bytes]:
        for each in self._inputs(file_id):
            try:
                yield from self._files.lines(each.uri, each.size)
            except Refused as error:
                if error.status != aws.NOT_FOUND or self.file_bytes(file_id) is None:
                    raise
                raise Unavailable(f"{file_id} is being deleted: {each.uri} has gone, and others are there") from error
