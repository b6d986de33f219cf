"""Airflow's connections, made through its REST API as a person does in the UI."""

from __future__ import annotations

import json
import urllib.parse
from typing import Any

from stack.stack import ApiError, Stack
from tests.real.provider import KEY


class Connections:
    def __init__(self, airflow: Stack) -> None:
        self._airflow = airflow

    def cluster(self, url: str, login: tuple[str, str] | None = None, **extra: Any) -> None:
        at = urllib.parse.urlsplit(url)
        named = {"login": login[0], "password": login[1]} if login else {}
        self._set("opensearch_default", "http", host=at.hostname, port=at.port, schema=at.scheme, extra=extra, **named)

    def provider(self, url: str, key: str = KEY) -> None:
        """TEST-NET counts as another machine, to which no key goes over plain http unless told so."""
        self._set("openai_default", "openai", host=f"{url}/v1", password=key, extra={"allow_plain_http": True})

    def _set(self, conn_id: str, conn_type: str, extra: dict[str, Any], **fields: Any) -> None:
        body = {"connection_id": conn_id, "conn_type": conn_type, "extra": json.dumps(extra), **fields}
        try:
            self._airflow.api("DELETE", f"/connections/{conn_id}")
        except ApiError as error:
            if error.status != 404:
                raise
        self._airflow.api("POST", "/connections", body)
