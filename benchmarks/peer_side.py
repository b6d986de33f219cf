"""The peer's sides of peer.py: apache-airflow-providers-common-ai, in a venv of its own.

Each side calls the functions that LLMBatchOperator calls, in the same order: compute_fingerprint, then the adapter's
validate_requests and submit; for results stream_results_to_jsonl.
"""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

from benchmarks.child import Work
from benchmarks.measure import Task

KEY = "sk-benchmark-not-a-secret"
KEY16 = "0" * 16
ANSWERS, ONE_ANSWER, LANDED = "chat.jsonl", "one-answer.jsonl", "peer.jsonl"
PROMPTS, MODEL, MAX_TOKENS = "rows.jsonl", "gpt-5-mini", 1024
"""Here, not in peer.py: the peer's venv has nothing of ours."""


def land(task: Task) -> Work:
    return _landing(task, str)


def land_checked(task: Task) -> Work:
    return _landing(task, import_module("benchmarks.labels").Label)


def _landing(task: Task, output_type: type) -> Work:
    adapter, spec, rows = _adapter(task.url), _spec(output_type), task.of(50_000)
    stream = import_module("airflow.providers.common.ai.batch.results").stream_results_to_jsonl
    destination = import_module("airflow.sdk").ObjectStoragePath(task.path(LANDED).as_uri())

    def streamed(batch_id: str, rows: int) -> dict[str, int]:
        given = {"adapter": adapter, "output_spec": spec, "custom_id_prefix": KEY16, "destination": destination}
        counts: dict[str, int] = stream(batch_id=batch_id, request_count=rows, **given)[0]
        return counts

    streamed(ONE_ANSWER, 1)  # imports what it imports at first use

    def work() -> dict[str, Any]:
        counts = streamed(ANSWERS, rows)
        return {"answered": counts["success"], "rest": sum(counts.values()) - counts["success"]}

    return work


def submit(task: Task) -> Work:
    """The prompts are read into a list, because that is what the operator takes. The fingerprint is by what it knows
    its own batch again, as ours does by the sha256 of each shard.
    """
    adapter, spec = _adapter(task.url), _spec()
    compute_fingerprint = import_module("airflow.providers.common.ai.batch.state").compute_fingerprint

    def work() -> dict[str, Any]:
        with task.path(PROMPTS).open(encoding="utf-8") as source:
            requests = [{"prompt": json.loads(line)["text"]} for line in source]
        fingerprint = compute_fingerprint(
            requests=requests, llm_conn_id="peer", model_id=f"openai:{MODEL}", system_prompt="", max_tokens=MAX_TOKENS,
            request_params=None, output_schema="str",
        )  # fmt: skip
        given = {"model": MODEL, "output_spec": spec, "idempotency_key": KEY16, "max_tokens": MAX_TOKENS}
        adapter.validate_requests(requests, **given)
        return {"uploads": [adapter.submit(requests, input_fingerprint=fingerprint, **given).provider_input_ref]}

    return work


def _adapter(url: str) -> Any:
    import_module("openai.resources.files")
    import_module("openai.resources.batches")
    return import_module("airflow.providers.common.ai.batch.openai").OpenAIBatchAdapter(api_key=KEY, base_url=url)


def _spec(output_type: type = str) -> Any:
    return import_module("airflow.providers.common.ai.batch.output_schema").build_output_spec(output_type)
