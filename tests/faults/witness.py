"""What a cell's run has left behind: at the provider, by the sandbox's ledger and files, and on disk."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx

from opensearch_batch.submit.names import key_of
from tests.faults.verdict import Evidence, Paid

KEY = "sk-sandbox-not-a-secret"


class Witness:
    """One look at the sandbox, for all cells of a round."""

    def __init__(self, url: str) -> None:
        headers = {"Authorization": f"Bearer {KEY}"}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False)
        self._ledger: list[dict[str, Any]] = self._get("/_sandbox/ledger")
        files = self._get("/v1/files?limit=10000&purpose=batch")["data"]
        self._names: dict[str, str] = {each["id"]: each["filename"] for each in files}
        self._known: dict[str, list[dict[str, Any]]] = {}

    def evidence(self, state: str, planned: Mapping[str, str], folder: Path) -> Evidence:
        """`folder` is the run's own: its rows, its work URI and its results."""
        claims = dict(_claims(folder))
        uploads = {file_id: key for file_id, name in self._names.items() if (key := key_of(name)) in claims}
        jobs = [self._paid(job) for job in self._ledger if _key_of(job, uploads, claims)]
        manifest = _manifest(folder / "results")
        landed = {name: list(_ids(folder / "results" / name)) for name in manifest}
        return Evidence(
            state=state,
            planned=planned,
            jobs=jobs,
            landed=[row for name, rows in landed.items() if name.startswith("results-") for row in rows],
            named=[row for name, rows in landed.items() if name.startswith("failures-") for row in rows],
            files=[str(path.relative_to(folder)) for path in sorted(folder.rglob("*")) if path.is_file()],
            uploads=[*uploads],
            claims=[*claims],
            keys=sorted({key for job in self._ledger if (key := _key_of(job, uploads, claims))}),
            manifest=manifest,
        )

    @staticmethod
    def tokens(folder: Path) -> int:
        """Those of the whole run, as its report counts them."""
        path = folder / "results" / "manifest.json"
        return int(json.loads(path.read_text())["report"]["input_tokens"]) if path.exists() else 0

    def _paid(self, job: Mapping[str, Any]) -> Paid:
        input_file_id = str(job.get("input_file_id") or job["input"])
        if job["provider"] != "openai":
            return Paid(job["id"], input_file_id, None, job["requests"])
        rows = {line["custom_id"]: line["body"]["input"] for line in self._lines(input_file_id)}
        if job["done"] < job["requests"]:
            about = self._get(f"/v1/batches/{job['id']}")
            files = [about.get("output_file_id"), about.get("error_file_id")]
            done = {line["custom_id"] for file_id in files for line in self._lines(file_id)}
            rows = {row_id: text for row_id, text in rows.items() if row_id in done}
        return Paid(job["id"], input_file_id, tuple(rows.items()), job["done"])

    def _lines(self, file_id: str | None) -> list[dict[str, Any]]:
        if not file_id:
            return []
        content = self._http.get(f"/v1/files/{file_id}/content").raise_for_status().content
        return [json.loads(line) for line in content.splitlines()]

    def _get(self, path: str) -> Any:
        return self._http.get(path).raise_for_status().json()


def _key_of(job: Mapping[str, Any], uploads: Mapping[str, str], claims: Mapping[str, str]) -> str | None:
    """The key of the cell's shard that the job was made for: by its file, or by its name; None for another cell's."""
    input_file_id = str(job.get("input_file_id") or job["input"])
    if key := uploads.get(input_file_id):
        return key
    about = f"{job.get('name')} {input_file_id}"
    return next((key for key, file_id in claims.items() if key in about or file_id == input_file_id), None)


def _claims(folder: Path) -> Iterator[tuple[str, str]]:
    """Key and input file of each claim."""
    for path in folder.glob("work/jobs/*/*.json"):
        claim = json.loads(path.read_text())
        yield claim["key"], claim["input_file_id"]


def _manifest(results: Path) -> list[str]:
    """The names in the manifest that readers follow."""
    path = results / "manifest.json"
    entries = json.loads(path.read_text())["files"] if path.exists() else []
    return [entry["uri"].rsplit("/", 1)[-1] for entry in entries]


def _ids(path: Path) -> Iterator[str]:
    for line in path.read_text().splitlines():
        yield json.loads(line)["id"]
