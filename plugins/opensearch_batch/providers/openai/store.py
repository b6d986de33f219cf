"""OpenAI's Files and Batches APIs through the openai SDK, with the SDK's retries of reads."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, Self, TypeVar

from opensearch_batch.errors import BatchError, ReasonsUnread, Refused, SpecError, Unavailable
from opensearch_batch.providers.keyed import KeyedStore, password
from opensearch_batch.providers.listing import walked
from opensearch_batch.providers.openai import provider as openai_provider
from opensearch_batch.providers.refusals import refusal
from opensearch_batch.providers.resuming import in_lines, resumed
from opensearch_batch.providers.shape import an_object, count, entries, epoch_seconds, from_sdk, needed, of_input, text
from opensearch_batch.scrubbing import scrubbed
from opensearch_batch.storage import open_binary
from opensearch_batch.unsigned import unsigned

if TYPE_CHECKING:
    from airflow.sdk import Connection
    from openai import OpenAI

    from opensearch_batch.flow.jobs import Outcome
    from opensearch_batch.flow.shards import Shard

log = logging.getLogger(__name__)

T = TypeVar("T")

NOT_FOUND = 404
NO_SUCH_PATH = (NOT_FOUND, 405, 501)
PAGE = 100
HEADER_NAME = re.compile(r"[A-Za-z0-9-]+")


class OpenAIFiles(KeyedStore):
    """Files and batches of OpenAI or a compatible server. `base_url` ends in /v1. The key goes out as a bearer token,
    or bare in `auth_header` where a gateway wants a header.
    """

    def __init__(self, base_url: str, key: str, auth_header: str = "") -> None:
        from openai import DefaultHttpxClient, OpenAI

        logging.getLogger("httpx2").setLevel(logging.WARNING)  # the SDK's client says a line a request
        client = (
            DefaultHttpxClient(event_hooks={"request": [_key_in(auth_header, key, base_url)]}) if auth_header else None
        )
        self._client: OpenAI = OpenAI(base_url=base_url, api_key=key, max_retries=4, timeout=120, http_client=client)

    @classmethod
    def opened(cls, connection: Connection, default_url: str, job: Mapping[str, Any]) -> Self:
        return cls(cls.base_url(connection, default_url), password(connection), _auth_header(connection))

    @classmethod
    def settings(cls, connection: Connection) -> dict[str, Any]:
        header = _auth_header(connection)
        return {"auth_header": header} if header else {}

    @classmethod
    def parameters(cls, model: str, endpoint: str) -> Collection[str]:
        """By the types of the SDK; a compatible server may have more."""
        return _types_of(endpoint).__annotations__

    def upload(self, shard: Shard, name: str) -> str:
        """The SDK gets an open file: from a path the SDK would read the whole file into memory. Retries are off: a
        retry would send the rest of a half-read file.
        """
        what = f"upload {name}"
        with open_binary(shard.uri) as source:
            files = self._client.with_options(max_retries=0).files.with_raw_response
            made = _from_sdk(lambda: json.loads(files.create(file=(name, source), purpose="batch").content), what)
        file_id, size = needed(an_object(made, what), "id", what), count(made.get("bytes"))
        if size not in (0, shard.bytes):  # some servers say 0 or nothing of a whole file
            # Under this name the next try would take it for whole.
            self.delete_file(file_id)
            raise Unavailable(f"{what}: the provider held {size} of {shard.bytes} bytes; deleted again")
        return file_id

    def find_uploads(self, prefix: str) -> dict[str, str]:
        """Entries without a name are not ours."""
        ours = [each for each in self._files({"purpose": "batch"}) if _name(each).startswith(prefix)]
        ours.sort(key=lambda each: epoch_seconds(each.get("created_at")) or 0.0, reverse=True)
        return {_name(each): file_id for each in ours if (file_id := text(each.get("id")))}

    def stored_bytes(self) -> int:
        return sum(count(each.get("bytes")) for each in self._files({}))

    def delete_file(self, file_id: str) -> bool:
        try:
            self._ask("delete", f"/files/{file_id}", f"delete file {file_id}")
        except Refused as error:
            if error.status != NOT_FOUND:
                raise
            return False
        return True

    def find_jobs(self, input_file_id: str) -> list[dict[str, Any]]:
        """Walk all pages: the list has no filter, and its order is not promised. A job that a shorter walk misses would
        be submitted again.
        """
        jobs = self._entries("/batches", {"limit": PAGE})
        ours = of_input(jobs, openai_provider.input_file_id, input_file_id, "list batches")
        return sorted(ours, key=lambda job: epoch_seconds(job.get("created_at")) or 0.0)

    def recent_jobs(self, since: float) -> Iterator[dict[str, Any]]:
        return self._newest("/batches", {"limit": PAGE}, since)

    def recent_uploads(self, since: float) -> Iterator[dict[str, Any]]:
        for each in self._newest("/files", {"purpose": "batch", "order": "desc", "limit": 10_000}, since):
            if (file_id := text(each.get("id"))) and _name(each):
                made_at = epoch_seconds(each.get("created_at")) or since
                about = {"id": file_id, "filename": _name(each), "created_at": made_at}
                yield about | {"bytes": count(each.get("bytes"))}

    def _newest(self, path: str, query: dict[str, Any], since: float) -> Iterator[dict[str, Any]]:
        """The vendor's lists are newest first."""
        for item in self._entries(path, query):
            if (epoch_seconds(item.get("created_at")) or since) < since:
                return
            yield item

    def _files(self, query: dict[str, Any]) -> Iterator[dict[str, Any]]:
        return self._entries("/files", {"limit": 10_000, **query})

    def _entries(self, path: str, query: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """All entries, or as many as are read: a page is asked for when the one before it has been read."""

        def page_at(after: str | None) -> tuple[list[dict[str, Any]], str | None]:
            return self._page(path, query if after is None else query | {"after": after})

        return walked(page_at, lambda each: text(each.get("id")), f"list {path.removeprefix('/')}")

    def _page(self, path: str, query: dict[str, Any]) -> tuple[list[dict[str, Any]], str | None]:
        """The entries, and the cursor of the next page where there may be one."""
        what = f"list {path.removeprefix('/')}"
        page = self._ask("get", path, what, query)
        found = entries(page, "data", what)
        ends = not found or page.get("has_more") is False
        return found, None if ends else needed(found[-1], "id", what)

    def file_bytes(self, file_id: str) -> int | None:
        try:
            return count(self._ask("get", f"/files/{file_id}", f"get file {file_id}").get("bytes"))
        except Refused as error:
            if error.status != NOT_FOUND:
                raise
            return None

    def get_job(self, job_id: str) -> dict[str, Any]:
        return self._ask("get", f"/batches/{job_id}", f"get batch {job_id}")

    def list_jobs(self, ids: Collection[str], most_pages: int, since: float | None) -> dict[str, dict[str, Any]]:
        """Read pages of 100, the most of a call: https://platform.openai.com/docs/api-reference/batch/list"""
        found: dict[str, dict[str, Any]] = {}
        for number, job in enumerate(self._entries("/batches", {"limit": PAGE})):
            if (job_id := text(job.get("id"))) in ids:
                found[str(job_id)] = job
            is_last = (number + 1) % PAGE == 0
            too_old = since is not None and is_last and (epoch_seconds(job.get("created_at")) or since) < since
            if too_old or len(found) == len(ids) or number + 1 >= most_pages * PAGE:
                break
        return found

    def cancel_job(self, job_id: str) -> None:
        what = f"cancel batch {job_id}"
        needed(self._ask("post", f"/batches/{job_id}/cancel", what), "status", what)

    def _ask(self, method: str, path: str, what: str, query: dict[str, Any] | None = None) -> dict[str, Any]:
        """As plain JSON: the SDK's models take any shape for theirs."""
        send = getattr(self._client, method)
        return an_object(_from_sdk(lambda: send(path, cast_to=object, options={"params": query or {}}), what), what)

    def answers(self, outcome: Outcome) -> Iterator[bytes]:
        """Raise ReasonsUnread, at the end, for a file of refused rows that is refused. The only file may be that one
        where the counts say so; some servers count nothing, and answers are paid for.
        """
        outputs = outcome.outputs
        counted = outcome.requests_failed if outcome.state == "completed" else outcome.requests_total
        is_of_reasons = len(outputs) == 1 and counted and not outcome.requests_done
        answers, of_reasons = ([], outputs) if is_of_reasons else (outputs[:1], outputs[1:])
        return chain(chain.from_iterable(map(self.lines, answers)), self._reasons(of_reasons))

    def _reasons(self, file_ids: list[str]) -> Iterator[bytes]:
        for file_id in file_ids:
            try:
                yield from self.lines(file_id)
            except Refused as error:
                raise ReasonsUnread(
                    f"the provider refuses the file of this job's refused rows: {error}", status=error.status
                ) from error

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

        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={at}-"} if at else {})
        opened = self._client.files.with_streaming_response.content(file_id, extra_headers=headers)
        response = _from_sdk(opened.__enter__, f"download {file_id}")
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


def _key_in(header: str, key: str, base_url: str) -> Callable[[Any], None]:
    """The client calls this for each redirect too, and itself takes only Authorization from one to another host."""
    from httpx2 import URL

    own = URL(base_url).origin

    def move(request: Any) -> None:
        for name in ("Authorization", header):
            request.headers.pop(name, None)
        if request.url.origin == own:
            request.headers[header] = key

    return move


def _name(file: Mapping[str, Any]) -> str:
    return text(file.get("filename")) or ""


def _hint(status: int, url: Any) -> str:
    """Say where the API may be, to a server that does not know the path."""
    if status not in NO_SUCH_PATH or url.path.split("/")[1] not in ("files", "batches"):
        return ""
    base = f"{url.scheme}://{url.netloc.decode()}"
    return f". The base URL {base} has no path: most servers have this API at {base}/v1. Correct the connection's host"


def _from_sdk(ask: Callable[[], T], what: str) -> T:
    """Translate the SDK's errors into ours."""
    import openai

    def translated(error: Exception) -> BatchError | None:
        if isinstance(error, openai.APIStatusError):
            hint = _hint(error.status_code, error.request.url)
            message = f"{what}: HTTP {error.status_code}: {unsigned(scrubbed(error.message))[:600]}{hint}"
            return refusal(message, error.status_code, error.response.headers)
        if isinstance(error, openai.APIConnectionError):
            cause = error.__cause__ or error
            return Unavailable(f"{what}: no answer from the provider ({cause}). Is the connection's host right?")
        return None

    return from_sdk(ask, what, translated)


def _types_of(endpoint: str) -> type:
    if endpoint == "/v1/embeddings":
        from openai.types.embedding_create_params import EmbeddingCreateParams

        return EmbeddingCreateParams
    if endpoint == "/v1/responses":
        from openai.types.responses.response_create_params import ResponseCreateParamsBase

        return ResponseCreateParamsBase
    from openai.types.chat.completion_create_params import CompletionCreateParamsBase

    return CompletionCreateParamsBase
