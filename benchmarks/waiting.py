"""`python -m benchmarks.waiting`: 600 jobs of one run waiting in a triggerer, beside 1,000 triggers of others, and the
same triggerer without ours. Against the sandbox in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from benchmarks import results
from benchmarks.measure import ROOT, Unequal, environment

KEY = "sk-sandbox-not-a-secret"
ML = "/_plugins/_ml"
JOBS, TRIGGERS, ALARMS, POLL_SECONDS = 600, 10, 1000, 5.0
SECONDS = 30.0
TITLE = "Hundreds of waiting jobs in one triggerer"


@contextmanager
def sandbox(folder: Path) -> Iterator[httpx.Client]:
    """Its jobs do not end before it is told so."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    started = subprocess.Popen(
        [sys.executable, "-m", "sandbox", "--port", str(port), "--data", str(folder / "sandbox"),
         "--pace", "polls:1000000"],
        stdout=subprocess.DEVNULL, env=environment(str(folder)), cwd=ROOT,
    )  # fmt: skip
    with started as process, httpx.Client(
        base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60,
        transport=httpx.HTTPTransport(retries=8),
    ) as client:  # fmt: skip
        try:
            client.get("/_sandbox/ready").raise_for_status()
            yield client
        finally:
            process.terminate()


def submitted(client: httpx.Client, jobs: int) -> list[dict[str, Any]]:
    """Jobs as dicts, each with its task at the cluster."""
    sys.path.append(str(ROOT / "plugins"))
    from opensearch_batch import providers
    from opensearch_batch.flow.jobs import Job

    def ask(method: str, path: str, **given: Any) -> Any:
        return client.request(method, path, **given).raise_for_status().json()

    body = providers.DEFAULT.connector(
        "waiting", "text-embedding-3-small", "/v1/embeddings", {}, f"{client.base_url}/v1"
    )
    connector = ask("POST", f"{ML}/connectors/_create", json=body | {"credential": {"openAI_key": KEY}})
    register = {"name": "waiting", "function_name": "remote", "connector_id": connector["connector_id"]}
    model = ask("POST", f"{ML}/models/_register", json=register)["model_id"]
    ask("POST", f"{ML}/models/{model}/_deploy")
    limit = {"persistent": {"plugins.ml_commons.max_batch_inference_tasks": 10_000}}
    ask("PUT", "/_cluster/settings", json=limit)
    line = {"custom_id": "r", "method": "POST", "url": "/v1/embeddings",
            "body": {"model": "text-embedding-3-small", "input": "text", "dimensions": 8}}  # fmt: skip
    file_id = ask("POST", "/v1/files", headers={"Authorization": f"Bearer {KEY}"}, data={"purpose": "batch"},
                  files={"file": ("rows.jsonl", json.dumps(line).encode() + b"\n")})["id"]  # fmt: skip
    made = []
    for _ in range(jobs):
        task = ask("POST", f"{ML}/models/{model}/_batch_predict", json={"parameters": {"input_file_id": file_id}})
        made.append(Job("batch-key", 1, task["remote_job"]["id"], file_id, task["task_id"], model).to_dict())
    return made


def waits(jobs: list[dict[str, Any]], triggers: int, poll_seconds: float) -> list[dict[str, Any]]:
    size = -(-len(jobs) // triggers)
    fixed = {"provider": "openai", "opensearch_conn_id": "opensearch_default", "provider_conn_id": "openai_default",
             "poll_seconds": poll_seconds, "deadline": time.time() + 86_400}  # fmt: skip
    return [{**fixed, "jobs": jobs[begin : begin + size]} for begin in range(0, len(jobs), size)]


def run(folder: Path, client: httpx.Client, plan: dict[str, Any]) -> dict[str, Any]:
    """One triggerer, from start to end."""
    url = client.base_url
    connections = {
        "AIRFLOW_CONN_OPENSEARCH_DEFAULT": {"conn_type": "http", "schema": "http", "host": url.host, "port": url.port},
        "AIRFLOW_CONN_OPENAI_DEFAULT": {"conn_type": "openai", "host": f"{url}/v1", "password": KEY},
    }
    home = environment(str(folder)) | {name: json.dumps(value) for name, value in connections.items()}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.in_triggerer"], input=json.dumps(plan | {"url": str(url)}),
        capture_output=True, text=True, env=home, cwd=ROOT, check=False, timeout=600,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"the triggerer ended with {done.returncode}: {done.stderr[-2000:]}")
    seen: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    jobs = sum(len(wait["jobs"]) for wait in plan["waits"])
    if (seen["alarms"], seen["jobs"], seen["failed"]) != (plan["alarms"], jobs, 0):
        raise Unequal(f"not all events came: {[seen[name] for name in ('alarms', 'jobs', 'failed')]}")
    return seen


def figures(seen: dict[str, Any], intervals: float) -> dict[str, float]:
    """Requests an interval, seconds, and milliseconds as their names say."""
    return {
        "requests of ours an interval": (seen["list"] + seen["cluster"]) / intervals,
        "of these pages of the list": seen["list"] / intervals,
        "requests of the cluster to the provider an interval": seen["provider"] / intervals,
        "CPU seconds, waiting": seen["cpu_seconds"],
        "loop lag p99 ms, waiting": _p99(seen["lag_waiting"]) * 1000,
        "loop lag max ms, waiting": max(seen["lag_waiting"]) * 1000,
        "loop lag p99 ms, all jobs ending at once": _p99(seen["lag_ending"]) * 1000,
        "loop lag max ms, all jobs ending at once": max(seen["lag_ending"]) * 1000,
        "others' events late p99 s, waiting": _p99(seen["late_waiting"]),
        "others' events late p99 s, all jobs ending at once": _p99(seen["late_ending"]),
    }


def _p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98]


def table(sides: dict[str, list[dict[str, float]]]) -> str:
    """Medians over the rounds."""
    lines = [f"| | {' | '.join(sides)} |", f"|---|{'--:|' * len(sides)}"]
    for name in next(iter(sides.values()))[0]:
        cells = [f"{statistics.median(one[name] for one in rounds):.2f}" for rounds in sides.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.waiting", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="medians are taken over so many (default: 5)")
    parser.add_argument("--jobs", type=int, default=JOBS)
    parser.add_argument("--triggers", type=int, default=TRIGGERS, help="of ours (default: %(default)s)")
    parser.add_argument("--alarms", type=int, default=ALARMS, help="triggers of others (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="to start all, then to wait, then to end")
    parser.add_argument("--results", type=Path, default=results.FILE, help="file for the table (default: %(default)s)")
    given = parser.parse_args(arguments)
    if min(given.rounds, given.jobs, given.triggers, given.alarms) < 1 or given.seconds <= 0:
        parser.error("all numbers are above 0")
    plan = {"alarms": given.alarms, "start_seconds": given.seconds, "wait_seconds": given.seconds,
            "end_seconds": given.seconds}  # fmt: skip
    sides: dict[str, list[dict[str, float]]] = {f"{given.jobs} jobs in {given.triggers} waits": [], "without ours": []}
    for number in range(1, given.rounds + 1):
        with tempfile.TemporaryDirectory(prefix="benchmarks-") as name, sandbox(Path(name)) as client:
            ours = waits(submitted(client, given.jobs), given.triggers, POLL_SECONDS)
            for rounds, here in zip(sides.values(), (ours, []), strict=True):
                rounds.append(figures(run(Path(name), client, plan | {"waits": here}), given.seconds / POLL_SECONDS))
        print(f"round {number} of {given.rounds}: all events came", file=sys.stderr)
    text = (
        f"Written by `{' '.join(['python -m benchmarks.waiting', *sys.argv[1:]])}`.\n"
        f"Machine: {results.machine()}. Medians of {given.rounds} rounds, {given.alarms} triggers of others, "
        f"an interval of {POLL_SECONDS:g} s.\n\n{table(sides)}"
    )
    results.keep(given.results, TITLE, text)
    print(text)


if __name__ == "__main__":
    main()
