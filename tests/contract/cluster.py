"""A plain client of the ML Commons API, and the bodies the tests send."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx

from tests.patience import until

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = "sk-sandbox-not-a-secret"
ML = "/_plugins/_ml"


def history(look: Callable[[], str], last: str) -> list[str]:
    """The states it was seen in, each once, until it came to the last."""
    seen: list[str] = []

    def note() -> str:
        seen.append(look())
        return seen[-1]

    until(note, lambda state: state == last)
    return list(dict.fromkeys(seen))


def rows(count: int, **body: Any) -> list[dict[str, Any]]:
    return [row(f"row-{index}", f"text number {index}", **body) for index in range(count)]


def row(custom_id: str, text: str, **body: Any) -> dict[str, Any]:
    asked = {"model": "text-embedding-3-small", "input": text} | body
    return {"custom_id": custom_id, "method": "POST", "url": "/v1/embeddings", "body": asked}


def jsonl(lines: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def connector(url: str, **changes: Any) -> dict[str, Any]:
    """Each action marks its calls, so that one sees whose headers were sent; None leaves a field out."""

    def headers(mark: str) -> dict[str, str]:
        return {"Authorization": "Bearer ${credential.openAI_key}", "X-Mark": mark}

    body = (
        '{ "input_file_id": "${parameters.input_file_id}", "endpoint": "${parameters.api_path}", '
        '"completion_window": "24h", "metadata": { "key": "${parameters.key}" } }'
    )
    batch = url + "/v1/batches/${parameters.id}"
    actions = [
        ("predict", "POST", f"{url}/v1/embeddings", '{ "input": ${parameters.input}, "model": "${parameters.model}" }'),
        ("batch_predict", "POST", f"{url}/v1/batches", body),
        ("batch_predict_status", "GET", batch, "{}"),
        ("cancel_batch_predict", "POST", f"{batch}/cancel", "{}"),
    ]
    made = {
        "name": "contract",
        "description": "made by a test",
        "version": "1",
        "protocol": "http",
        "parameters": {"model": "text-embedding-3-small", "api_path": "/v1/embeddings"},
        "credential": {"openAI_key": KEY},
        "actions": [
            {"action_type": kind, "method": method, "url": target, "headers": headers(kind), "request_body": template}
            for kind, method, target, template in actions
        ],
    } | changes
    return {name: value for name, value in made.items() if value is not None}


class Cluster:
    """`provider_url` is the sandbox that its connectors call and that takes orders: itself, or a real server's."""

    def __init__(self, url: str, provider_url: str | None = None) -> None:
        self.url = url
        self.provider_url = provider_url or url
        self._http = httpx.Client(base_url=url, trust_env=False, timeout=30)

    def close(self) -> None:
        self._http.close()

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and body; a path without a leading /_ is one of ML Commons."""
        full = path if path == "/" or path.startswith(("/_sandbox", "/_cluster")) else ML + path
        return self.raw(method, full, body)

    def raw(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        """Status and body, which may be plain text; the path as it is."""
        sent = {"json": body} if body is not None else {}
        response = self._http.request(method, path, headers=headers, **sent)
        is_json = response.headers.get("content-type", "").startswith("application/json")
        return response.status_code, response.json() if is_json else response.text

    def ok(self, method: str, path: str, body: Any = None) -> Any:
        status, answer = self.call(method, path, body)
        assert status == 200, answer
        return answer

    def refused(self, method: str, path: str, body: Any = None) -> tuple[int, str, str]:
        """Status, type and reason; the rest of the body must have the one shape OpenSearch has."""
        status, answer = self.call(method, path, body)
        error = answer["error"]
        assert answer["status"] == status
        assert set(error["root_cause"][0]) >= {"type", "reason"}
        return status, error["type"], error["reason"]

    def fault(self, name: str, **params: Any) -> None:
        self.order("faults", {"fault": name, **params})

    def order(self, path: str, body: Any = None) -> None:
        """Of the sandbox."""
        self._http.post(f"{self.provider_url}/_sandbox/{path}", json=body).raise_for_status()

    def sandbox(self, path: str) -> Any:
        return self._http.get(f"{self.provider_url}/_sandbox/{path}").raise_for_status().json()

    def provider_calls(self) -> list[dict[str, Any]]:
        """What connectors have sent."""
        return [call for call in self.sandbox("calls") if call["headers"].get("x-mark")]

    def connector(self, url: str | None = None, **changes: Any) -> str:
        return str(
            self.ok("POST", "/connectors/_create", connector(url or self.provider_url, **changes))["connector_id"]
        )

    def model(self, connector_id: str | None = None) -> str:
        """Registered under a name of its own, and deployed."""
        body = {
            "name": f"contract {uuid4()}",
            "function_name": "remote",
            "connector_id": connector_id or self.connector(),
        }
        model_id = str(self.ok("POST", "/models/_register?deploy=true", body)["model_id"])
        until(lambda: self.state(model_id), lambda state: state == "DEPLOYED")
        return model_id

    def undeploy(self, model_id: str) -> Any:
        """The answer, which comes before the document says so."""
        answer = self.ok("POST", f"/models/{model_id}/_undeploy")
        until(lambda: self.state(model_id), lambda state: state == "UNDEPLOYED")
        return answer

    def state(self, model_id: str) -> str:
        return str(self.ok("GET", f"/models/{model_id}")["model_state"])

    def submit(self, model_id: str, file_id: str = "file-unknown", key: str = "k", **more: Any) -> dict[str, Any]:
        parameters = {"input_file_id": file_id, "key": key, **more}
        found: dict[str, Any] = self.ok("POST", f"/models/{model_id}/_batch_predict", {"parameters": parameters})
        return found

    def found(self, index: str, query: dict[str, Any]) -> list[str]:
        hits = self.ok("POST", f"/{index}/_search", {"query": query})["hits"]["hits"]
        return [hit["_id"] for hit in hits]
