"""The cluster over the package's own hook, with every answer in the transcript."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from live.transcript import Transcript
from opensearch_batch.cluster.hook import MLCommonsHook
from opensearch_batch.cluster.ml_commons import Call
from opensearch_batch.errors import BatchError

if TYPE_CHECKING:
    import requests


class RecordedCluster(MLCommonsHook):
    """Repeated reads are a line each; a call that was never answered is an event."""

    def __init__(self, opensearch_conn_id: str, transcript: Transcript) -> None:
        super().__init__(opensearch_conn_id)
        self._transcript = transcript

    def get_conn(
        self, headers: dict[Any, Any] | None = None, extra_options: dict[str, Any] | None = None
    ) -> requests.Session:
        session = super().get_conn(headers, extra_options)
        session.hooks["response"] = [self._record]
        return session

    def send(self, call: Call) -> Any:
        try:
            return super().send(call)
        except BatchError as error:
            if error.status is None:
                self._transcript.event("no answer", to="cluster", call=call.name, error=str(error))
            raise

    def _record(self, response: requests.Response, *args: Any, **kwargs: Any) -> None:
        asked = response.request
        self._transcript.call(
            "cluster",
            str(asked.method),
            asked.path_url,
            response.status_code,
            response.elapsed.total_seconds(),
            _content(response),
        )


def _content(response: requests.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return response.text
