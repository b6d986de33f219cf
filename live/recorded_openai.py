"""OpenAI's files and batches over the package's own store, with every answer in the transcript."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from live.transcript import Transcript
from opensearch_batch.providers.openai.store import OpenAIFiles

if TYPE_CHECKING:
    import httpx2


class RecordedOpenAIFiles(OpenAIFiles):
    """Repeated calls of the SDK are a line each; of a download only that it began, not what it brought."""

    def __init__(self, base_url: str, key: str, transcript: Transcript) -> None:
        from openai import DefaultHttpxClient

        super().__init__(base_url, key)
        self._transcript = transcript
        hooks: dict[str, list[Any]] = {"request": [self._began], "response": [self._record]}
        client = DefaultHttpxClient(event_hooks=hooks, timeout=self._client.timeout)
        self._client = self._client.with_options(http_client=client)

    def _began(self, request: httpx2.Request) -> None:
        request.extensions["began"] = time.monotonic()

    def _record(self, response: httpx2.Response) -> None:
        asked = response.request
        seconds = time.monotonic() - asked.extensions["began"]
        path = asked.url.raw_path.decode()
        self._transcript.call("provider", asked.method, path, response.status_code, seconds, _content(path, response))


def _content(path: str, response: httpx2.Response) -> Any:
    if response.is_success and path.endswith("/content"):
        return {"download": True}
    response.read()
    try:
        return response.json()
    except ValueError:
        return response.text
