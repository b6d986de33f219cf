"""Objects in S3 by URI, through boto3: input and output of AWS jobs. Shards and results lie elsewhere (storage/)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import IO, Any

from opensearch_batch.errors import Refused, SpecError, Terminal, Unavailable
from opensearch_batch.providers.aws.session import NOT_FOUND, from_aws, refusal_of
from opensearch_batch.providers.listing import walked
from opensearch_batch.providers.resuming import in_lines, resumed
from opensearch_batch.providers.shape import count, entries, epoch_seconds, needed

AT_A_TIME = 1000
"""Most keys of a DeleteObjects."""

CHUNK_BYTES = 1 << 18


@dataclass(frozen=True)
class Found:
    """`modified_at` is in epoch seconds."""

    uri: str
    size: int
    modified_at: float


class S3Files:
    """Objects through a boto3 client; every call may be repeated."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def found(self, prefix_uri: str) -> Iterator[Found]:
        """Yield objects in key order; the next page is requested after the last object of a page."""
        bucket, prefix = parts_of(prefix_uri)
        what = f"list {prefix_uri}"

        def page_at(token: str | None) -> tuple[list[Found], str | None]:
            more = {"ContinuationToken": token} if token else {}
            page = from_aws(lambda: self._client.list_objects_v2(Bucket=bucket, Prefix=prefix, **more), what)
            needed(page, "Name", what)  # the bucket, which no other document names
            listed = [_found(bucket, each, what) for each in entries({"Contents": [], **page}, "Contents", what)]
            return listed, needed(page, "NextContinuationToken", what) if page.get("IsTruncated") else None

        return walked(page_at, lambda found: found.uri, what)

    def folders(self, folder_uri: str) -> Iterator[str]:
        """Yield the URIs of the folders directly in a folder, a slash at their end."""
        bucket, prefix = parts_of(folder_uri)
        what = f"list {folder_uri}"

        def page_at(token: str | None) -> tuple[list[str], str | None]:
            more = {"ContinuationToken": token} if token else {}
            page = from_aws(
                lambda: self._client.list_objects_v2(Bucket=bucket, Prefix=prefix, Delimiter="/", **more), what
            )
            needed(page, "Name", what)
            listed = entries({"CommonPrefixes": [], **page}, "CommonPrefixes", what)
            uris = [f"s3://{bucket}/{needed(each, 'Prefix', what)}" for each in listed]
            return uris, needed(page, "NextContinuationToken", what) if page.get("IsTruncated") else None

        return walked(page_at, lambda uri: uri, what)

    def put(self, uri: str, content: bytes) -> None:
        bucket, key = parts_of(uri)
        from_aws(lambda: self._client.put_object(Bucket=bucket, Key=key, Body=content), f"write {uri}")

    def upload(self, uri: str, source: IO[bytes]) -> None:
        """Upload in parts; memory holds a few parts."""
        from boto3.exceptions import S3UploadFailedError
        from boto3.s3.transfer import TransferConfig

        bucket, key = parts_of(uri)
        config = TransferConfig(max_concurrency=2)
        try:
            from_aws(lambda: self._client.upload_fileobj(source, bucket, key, Config=config), f"upload {uri}")
        except S3UploadFailedError as error:
            raise Unavailable(f"upload {uri}: {error}") from None

    def size(self, uri: str) -> int | None:
        bucket, key = parts_of(uri)
        try:
            return count(
                from_aws(lambda: self._client.head_object(Bucket=bucket, Key=key), f"get {uri}").get("ContentLength")
            )
        except Refused as error:
            if error.status != NOT_FOUND:
                raise
            return None

    def read(self, uri: str) -> bytes:
        """For small objects."""
        return b"".join(self._chunks(uri, None))

    def lines(self, uri: str, size: int | None = None) -> Iterator[bytes]:
        """Yield lines without line ends; with `size` a request is saved."""
        return in_lines(self._chunks(uri, size))

    def _chunks(self, uri: str, size: int | None) -> Iterator[bytes]:
        size = self.size(uri) if size is None else size
        if size is None:
            raise Refused(
                f"download {uri}: no such object; it was deleted. What landed before stays as it is. To have its rows "
                "again, give them to a new run.",
                status=NOT_FOUND,
            )
        return resumed(uri, size, partial(self._from, uri))

    def _from(self, uri: str, at: int) -> Iterator[bytes]:
        from botocore.exceptions import BotoCoreError

        bucket, key = parts_of(uri)
        ranged = {"Range": f"bytes={at}-"} if at else {}
        answer = from_aws(lambda: self._client.get_object(Bucket=bucket, Key=key, **ranged), f"download {uri}")
        try:
            yield from answer["Body"].iter_chunks(CHUNK_BYTES)
        except BotoCoreError as error:
            raise Unavailable(f"{type(error).__name__}: {error}") from None
        finally:
            answer["Body"].close()

    def remove(self, prefix_uri: str) -> int:
        """Delete all objects below; return the number of objects. Where some were not deleted, a refusal for good goes
        before one that passes.
        """
        bucket, _ = parts_of(prefix_uri)
        what = f"delete {prefix_uri}"
        keys = [parts_of(found.uri)[1] for found in self.found(prefix_uri)]
        for at in range(0, len(keys), AT_A_TIME):
            objects = [{"Key": key} for key in keys[at : at + AT_A_TIME]]
            answer = from_aws(
                lambda objects=objects: self._client.delete_objects(Bucket=bucket, Delete={"Objects": objects}),  # type: ignore[misc]
                what,
            )
            told = entries({"Errors": [], **answer}, "Errors", what)
            errors = [refusal_of(f"{what}: {each.get('Key')}", each, 0, {}) for each in told]
            if errors:
                raise next((each for each in errors if isinstance(each, Terminal)), errors[0])
        return len(keys)


def _found(bucket: str, listed: Mapping[str, Any], what: str) -> Found:
    uri = f"s3://{bucket}/{needed(listed, 'Key', what)}"
    return Found(uri, count(listed.get("Size")), epoch_seconds(listed.get("LastModified")) or 0.0)


def parts_of(uri: str) -> tuple[str, str]:
    """Bucket and key."""
    if not uri.startswith("s3://"):
        raise SpecError(f"{uri!r} is not an s3:// URI")
    bucket, _, key = uri[5:].partition("/")
    return bucket, key
