"""OpenAI's Files and Batches APIs through the openai SDK, with the SDK's retries of reads."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from opensearch_batch.errors import Refused, SpecError, Unavailable
from opensearch_batch.providers.keyed import KeyedStore, password
from opensearch_batch.providers.refusals import refusal
from opensearch_batch.providers.resuming import in_lines, resumed
from opensearch_batch.storage import open_binary

if TYPE_CHECKING:
    from airflow.sdk import Connection
    from openai import OpenAI

    from opensearch_batch.flow.jobs import Outcome
    from opensearch_batch.flow.shards import Shard

log = logging.getLogger(__name__)

T = TypeVar("T")

NOT_FOUND = 404
HEADER_NAME = re.compile(r"[A-Za-z0-9-]+")


class OpenAIFiles(KeyedStore):
    """Files and batches of OpenAI or a compatible server. `base_url` ends in /v1. The key goes out as a bearer token,
    or bare in `auth_header` where a gateway wants a header.
    """

    def __init__(self, base_url: str, key: str, auth_header: str = "") -> None:
        from openai import DefaultHttpxClient, OpenAI

        logging.getLogger("httpx2").setLevel(logging.WARNING)  # the SDK's client says a line a request
        client = DefaultHttpxClient(event_hooks={"request": [_key_in(auth_header, key)]}) if auth_header else None
        self._client: OpenAI = OpenAI(base_url=base_url, api_key=key, max_retries=4, timeout=120, http_client=client)

    @classmethod
    def opened(cls, connection: Connection, default_url: str, job: Mapping[str, Any]) -> Self:
        return cls(cls.base_url(connection, default_url), password(connection), _auth_header(connection))

    @classmethod
    def settings(cls, connection: Connection) -> dict[str, Any]:
        header = _auth_header(connection)
        return {"auth_header": header} if header else {}

    def upload(self, shard: Shard, name: str) -> str:
        """The SDK gets an open file: from a path the SDK would read the whole file into memory. Retries are off: a
        retry would send the rest of a half-read file.
        """
        with open_binary(shard.uri) as source:
            client = self._client.with_options(max_retries=0)
            made = _asked(lambda: client.files.create(file=(name, source), purpose="batch"), f"upload {name}")
        if made.bytes != shard.bytes:
            # Under this name the next try would take it for whole.
            _asked(lambda: self._client.files.delete(made.id), f"delete the broken upload {made.id} ({name})")
            raise Unavailable(f"upload {name}: the provider held {made.bytes} of {shard.bytes} bytes; deleted again")
        return made.id

    def find_uploads(self, prefix: str) -> dict[str, str]:
        files = _asked(lambda: list(self._client.files.list(purpose="batch", limit=10_000)), "list files")
        ours = sorted((f for f in files if f.filename.startswith(prefix)), key=lambda f: f.created_at, reverse=True)
        return {f.filename: f.id for f in ours}

    def stored_bytes(self) -> int:
        return _asked(lambda: sum(file.bytes for file in self._client.files.list(limit=10_000)), "list files")

    def delete_file(self, file_id: str) -> bool:
        try:
            return _asked(lambda: self._client.files.delete(file_id).deleted, f"delete file {file_id}")
        except Refused as error:
            if error.status != NOT_FOUND:
                raise
            return False

    def find_jobs(self, input_file_id: str) -> list[dict[str, Any]]:
        """Walk all pages: the list has no filter."""
        batches = _asked(lambda: list(self._client.batches.list(limit=100)), "list batches")
        ours = sorted((b for b in batches if b.input_file_id == input_file_id), key=lambda b: b.created_at)
        return [b.model_dump() for b in ours]

    def recent_jobs(self, since: float) -> Iterator[dict[str, Any]]:
        return self._newest("/batches", {"limit": 100}, since)

    def recent_uploads(self, since: float) -> Iterator[dict[str, Any]]:
        return self._newest("/files", {"purpose": "batch", "order": "desc", "limit": 10_000}, since)

    def _newest(self, path: str, query: dict[str, Any], since: float) -> Iterator[dict[str, Any]]:
        """Yield entries newest first, as the vendor's lists are; the next page is requested after the last entry of a
        page.
        """
        last = None
        while True:
            page = self._page(path, query if last is None else query | {"after": last})
            for item in page["data"]:
                if item["created_at"] < since:
                    return
                yield item
            if not page["data"] or page.get("has_more") is False or page["data"][-1]["id"] == last:
                return
            last = page["data"][-1]["id"]

    def file_bytes(self, file_id: str) -> int | None:
        try:
            return _asked(lambda: self._client.files.retrieve(file_id).bytes, f"get file {file_id}")
        except Refused as error:
            if error.status != NOT_FOUND:
                raise
            return None

    def get_job(self, job_id: str) -> dict[str, Any]:
        return _asked(lambda: self._client.batches.retrieve(job_id).model_dump(), f"get batch {job_id}")

    def list_jobs(self, ids: Collection[str], most_pages: int, since: float | None) -> dict[str, dict[str, Any]]:
        """Read pages of 100, the most of a call: https://platform.openai.com/docs/api-reference/batch/list

        As plain JSON: a triggerer has no use for the SDK's models of a hundred jobs.
        """
        found: dict[str, dict[str, Any]] = {}
        query: dict[str, Any] = {"limit": 100}
        for _ in range(most_pages):
            page = self._page("/batches", query)
            jobs = page["data"]
            found |= {job["id"]: job for job in jobs if job["id"] in ids}
            too_old = since is not None and bool(jobs) and jobs[-1]["created_at"] < since
            if too_old or len(found) == len(ids) or not (jobs and page.get("has_more")):
                break
            query["after"] = jobs[-1]["id"]
        return found

    def _page(self, path: str, query: dict[str, Any]) -> dict[str, Any]:
        what = f"list {path.removeprefix('/')}"
        page = _asked(lambda: self._client.get(path, cast_to=object, options={"params": query}), what)
        if not isinstance(page, dict) or not isinstance(page.get("data"), list):
            raise Unavailable(f"{what}: what came is no list: {str(page)[:200]}")
        return cast("dict[str, Any]", page)

    def cancel_job(self, job_id: str) -> None:
        _asked(lambda: self._client.batches.cancel(job_id), f"cancel batch {job_id}")

    def answers(self, outcome: Outcome) -> Iterator[bytes]:
        return chain.from_iterable(map(self.lines, outcome.outputs))

    def usage(self, outcome: Outcome) -> None:
        """The job, or the answers, have the usage."""

    def lines(self, file_id: str) -> Iterator[bytes]:
        return in_lines(self._chunks(file_id))

    def _chunks(self, file_id: str) -> Iterator[bytes]:
        """Resume by Range where the server honours Range, else read the file again and skip the known bytes."""
        if (size := self.file_bytes(file_id)) is None:
            raise Refused(
                f"download {file_id}: the provider no longer has this file; it was deleted or has expired there. What "
                "landed before stays as it is. To have its rows again, give them to a new run.",
                status=NOT_FOUND,
            )
        return resumed(file_id, size, partial(self._from, file_id))

    def _from(self, file_id: str, at: int) -> Iterator[bytes]:
        from httpx2 import HTTPError

        headers = {"Range": f"bytes={at}-"} if at else {}
        opened = self._client.files.with_streaming_response.content(file_id, extra_headers=headers)
        response = _asked(opened.__enter__, f"download {file_id}")
        try:
            skip = at if response.status_code == 200 else 0
            for chunk in response.iter_bytes():  # as they come: nothing waits for a chunk to fill
                if keep := chunk[skip:]:
                    yield keep
                skip = max(0, skip - len(chunk))
        except HTTPError as error:
            raise Unavailable(f"{type(error).__name__}: {error}") from None
        finally:
            opened.__exit__(None, None, None)


def _auth_header(connection: Connection) -> str:
    """Return the connection's `auth_header`; empty for a bearer token. `extra_dejson` would ask to mask the extra's
    words: a triggerer's threads read the header too, and the header is no secret.
    """
    try:
        named = json.loads(connection.extra or "{}").get("auth_header") or ""
    except (AttributeError, ValueError):
        raise SpecError(f"connection {connection.conn_id!r}: its extra is no JSON object") from None
    if not isinstance(named, str) or (named and not HEADER_NAME.fullmatch(named)):
        raise SpecError(f"connection {connection.conn_id!r}: auth_header {named!r} is no name of a header")
    return "" if named.lower() == "authorization" else named


def _key_in(header: str, key: str) -> Callable[[Any], None]:
    def move(request: Any) -> None:
        del request.headers["Authorization"]
        request.headers[header] = key

    return move


def _asked(ask: Callable[[], T], what: str) -> T:
    """Translate the SDK's errors into ours."""
    import openai

    try:
        return ask()
    except openai.APIStatusError as error:
        raise refusal(
            f"{what}: HTTP {error.status_code}: {error.message[:600]}", error.status_code, error.response.headers
        ) from None
    except openai.APIConnectionError as error:
        raise Unavailable(
            f"{what}: no answer from the provider ({error.__cause__ or error}). Is the connection's host right?"
        ) from None
