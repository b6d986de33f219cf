"""The life of a batch: how far its work is, and the only place where its visible status moves on.

A stored batch is {"public": the batch as the API shows it, "work": how far the worker is}. The worker writes only
`work`; `look` moves `public` after it as far as the pace allows.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from sandbox.openai_face import files

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.box import Box

KIND = "batch"
HIGH_WATER = "high_water"
WINDOW_SECONDS = 24 * 3600
FINAL = ("completed", "failed", "expired", "cancelled")
STAMP = {
    "in_progress": "in_progress_at",
    "finalizing": "finalizing_at",
    "completed": "completed_at",
    "failed": "failed_at",
    "expired": "expired_at",
    "cancelling": "cancelling_at",
    "cancelled": "cancelled_at",
}


def new(id: str, request: dict[str, Any], faults: dict[str, dict[str, Any]]) -> dict[str, Any]:
    now = time.time()
    public = {
        "id": id,
        "object": "batch",
        "endpoint": request["endpoint"],
        "model": None,
        "errors": None,
        "input_file_id": request["input_file_id"],
        "completion_window": request["completion_window"],
        "status": "validating",
        "output_file_id": None,
        "error_file_id": None,
        "created_at": int(now),
        "in_progress_at": None,
        "expires_at": int(now) + WINDOW_SECONDS,
        "finalizing_at": None,
        "completed_at": None,
        "failed_at": None,
        "expired_at": None,
        "cancelling_at": None,
        "cancelled_at": None,
        "request_counts": {"total": 0, "completed": 0, "failed": 0},
        "usage": None,
        "metadata": request.get("metadata"),
    }
    work: dict[str, Any] = {
        "made_at": now,
        "reads": 0,
        "reads_since_end": 0,
        "faults": faults,
        "output_expires_after": (request.get("output_expires_after") or {}).get("seconds"),
        "validated": False,
        "done": False,
        "outcome": "completed",
        "cancel": None,
        "errors": [],
        "model": None,
        "counts": {"total": 0, "completed": 0, "failed": 0},
        "results": {},
        "usage": None,
    }
    return {"public": public, "work": work}


def look(box: Box, id: str, *, counts: bool) -> dict[str, Any] | None:
    """The batch as the API shows it now; `counts`: this is a status read, which `polls:N` goes by."""

    def change(body: dict[str, Any]) -> None:
        if counts:
            body["work"]["reads"] += 1
        _advance(box, body, time.time())
        if counts and body["public"]["status"] in FINAL:
            body["work"]["reads_since_end"] += 1

    stored = box.state.get(KIND, id)
    if stored is not None and (counts or stored.body["public"]["status"] not in FINAL):
        stored = box.state.update(KIND, id, change)
    return _shown(stored.body) if stored else None


def _shown(body: dict[str, Any]) -> dict[str, Any]:
    public: dict[str, Any] = body["public"]
    order = body["work"]["faults"].get("id_later")
    if order is None or body["work"]["reads_since_end"] > int(order.get("reads", 1)) >= 0:
        return public
    return {**public, "output_file_id": None, "error_file_id": None}


def request_cancel(body: dict[str, Any]) -> None:
    work, public = body["work"], body["public"]
    if work["cancel"] is None:
        work["cancel"] = {"at": time.time(), "reads": work["reads"], "from": public["status"]}
    _enter(public, "cancelling", time.time())


def ledger(box: Box) -> list[dict[str, Any]]:
    """Every job that was accepted, whether or not its answer arrived: what would have been billed."""
    found = []
    for stored in box.state.all(KIND):
        public = look(box, stored.id, counts=False)
        if public is None:
            continue
        source = box.state.get(files.KIND, public["input_file_id"])
        lines = source.body["lines"] if source else 0
        found.append(
            {
                "provider": "openai",
                "id": public["id"],
                "input_file_id": public["input_file_id"],
                "model": stored.body["work"]["model"],
                "requests": stored.body["work"]["counts"]["total"] or lines,
                "done": public["request_counts"]["completed"] + public["request_counts"]["failed"],
                "status": public["status"],
                "created_at": public["created_at"],
            }
        )
    return found


def note_high_water(box: Box) -> None:
    """Call after each new job: how many are live at once, and how many bytes their input files have."""
    now = high_water(box)
    seen = {name: max(now[name], now[f"live_{name}"]) for name in ("jobs", "bytes")}
    box.state.put(HIGH_WATER, HIGH_WATER, seen)


def forget_high_water(box: Box) -> None:
    """From here on only what is live now, and what comes, counts."""
    now = high_water(box)
    box.state.put(HIGH_WATER, HIGH_WATER, {name: now[f"live_{name}"] for name in ("jobs", "bytes")})


def high_water(box: Box) -> dict[str, int]:
    """Live jobs and their input bytes, now and at the worst moment since it was forgotten."""
    live = [stored for stored in box.state.all(KIND) if stored.body["public"]["status"] not in FINAL]
    shown = [public for stored in live if (public := look(box, stored.id, counts=False))]
    sources = [box.state.get(files.KIND, job["input_file_id"]) for job in shown if job["status"] not in FINAL]
    most = box.state.get(HIGH_WATER, HIGH_WATER)
    return {
        **(most.body if most else {"jobs": 0, "bytes": 0}),
        "live_jobs": len(sources),
        "live_bytes": sum(source.body["bytes"] for source in sources if source),
    }


def _advance(box: Box, body: dict[str, Any], now: float) -> None:
    public, work = body["public"], body["work"]
    if public["status"] in FINAL:
        return
    way, due = _way(box, work, now)
    for status in way[: _reached(work, way, due) + 1]:
        if STAMP.get(status) and public[STAMP[status]] is None:
            _enter(public, status, now)
    if public["status"] != "validating":
        public["model"] = work["model"]
        public["request_counts"] = dict(work["counts"])
    if public["status"] in FINAL:
        _settle(box, public, work)


def _way(box: Box, work: dict[str, Any], now: float) -> tuple[list[str], int]:
    """The states it will pass, and how many of the steps between them are due."""
    seconds, reads = now - work["made_at"], work["reads"]
    if work["cancel"] is not None and work["outcome"] != "failed":
        way = ["cancelling", "cancelled"]
        seconds, reads = now - work["cancel"]["at"], reads - work["cancel"]["reads"]
    elif work["outcome"] == "failed":
        way = ["validating", "failed"]
    elif work["outcome"] == "cancelled":
        way = ["validating", "in_progress", "cancelling", "cancelled"]
    else:
        way = ["validating", "in_progress", "finalizing", work["outcome"]]
    return way, box.pace.steps(reads, seconds, len(way) - 1)


def _reached(work: dict[str, Any], way: list[str], due: int) -> int:
    """No further than the work is: results cannot be shown before they exist."""
    if work["done"]:
        return due
    possible = 1 if work["validated"] and way[0] == "validating" else 0
    return min(due, possible)


def _enter(public: dict[str, Any], status: str, now: float) -> None:
    public["status"] = status
    public[STAMP[status]] = int(now)


def _settle(box: Box, public: dict[str, Any], work: dict[str, Any]) -> None:
    if work["errors"]:
        public["errors"] = {"object": "list", "data": work["errors"]}
    public["usage"] = work["usage"]
    lifetime = work["output_expires_after"] or files.BATCH_FILE_SECONDS
    for name, result in work["results"].items():
        filename = f"{public['id']}_{name.removesuffix('_file_id')}.jsonl"
        expires_at = int(time.time()) + lifetime
        trouble = _trouble(box.state.files / result["id"], name.removesuffix("_file_id"), work["faults"])
        files.register(box.state, result["id"], filename, "batch_output", result["lines"], expires_at, trouble)
        public[name] = result["id"]


def _trouble(path: Path, which: str, faults: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What was ordered for this file of the results."""
    found: dict[str, Any] = {}
    if (later := faults.get("file_later")) is not None:
        found["refused"] = {"status": 404, "reads": int(later.get("reads", 1))}
    if faults.get("refuse_file", {}).get("which") == which:
        found["refused"] = {"status": int(faults["refuse_file"].get("status", 404)), "reads": -1}
    if which == "output" and (short := faults.get("rows_later")) is not None:
        size = files.bytes_without(path, int(short.get("count", 1)))
        found["short"] = {"bytes": size, "reads": int(short.get("reads", 1))}
    return found
