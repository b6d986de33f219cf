"""The provider's side of a test: what it was asked and by whom, its jobs, and trouble on order."""

from __future__ import annotations

from typing import Any, Self

import httpx

KEY = "sk-sandbox-not-a-secret"
OURS = "OpenAI/Python"


class Provider:
    """A sandbox's OpenAI face, and its control."""

    def __init__(self, url: str) -> None:
        self.url = url
        headers = {"Authorization": f"Bearer {KEY}"}
        self._http = httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._http.close()

    def reset(self) -> None:
        self._post("reset", {})
        self.pace("instant")

    def pace(self, pace: str) -> None:
        self._post("pace", {"pace": pace})

    def order(self, fault: str, **params: Any) -> None:
        self._post("faults", {"fault": fault, **params})

    def ledger(self) -> list[dict[str, Any]]:
        """Every job that would have been billed."""
        return self._get("/_sandbox/ledger")  # type: ignore[no-any-return]

    def job(self, job_id: str) -> dict[str, Any]:
        return self._get(f"/v1/batches/{job_id}")  # type: ignore[no-any-return]

    def calls(self, method: str, path: str) -> list[str]:
        """Who called: "cluster" for its connector, "airflow" for the SDK of our own code."""
        found = [call for call in self._get("/_sandbox/calls") if (call["method"], call["path"]) == (method, path)]
        return ["airflow" if call["headers"].get("user-agent", "").startswith(OURS) else "cluster" for call in found]

    def _get(self, path: str) -> Any:
        return self._http.get(path).raise_for_status().json()

    def _post(self, what: str, body: dict[str, Any]) -> None:
        self._http.post(f"/_sandbox/{what}", json=body).raise_for_status()
