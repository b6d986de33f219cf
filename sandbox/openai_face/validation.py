"""The first pass over an input file: everything OpenAI checks before it runs a single request."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

# https://platform.openai.com/docs/guides/batch
MAX_REQUESTS = 50_000
MAX_BYTES = 200 * 1024 * 1024
MAX_INPUTS = 50_000
MAX_ERRORS = 100


@dataclass
class Finding:
    """`errors` in the shape of `batch.errors.data`; not empty means that the batch fails."""

    total: int = 0
    inputs: int = 0
    model: str | None = None
    errors: list[dict[str, Any]] = field(default_factory=list)

    def refuse(self, code: str, message: str, param: str | None = None, line: int | None = None) -> None:
        if len(self.errors) < MAX_ERRORS:
            self.errors.append({"code": code, "message": message, "param": param, "line": line})


def validate(path: Path, endpoint: str) -> Finding:
    finding = Finding()
    if path.stat().st_size > MAX_BYTES:
        finding.refuse("max_file_size_exceeded", f"The input file is larger than {MAX_BYTES} bytes.")
        return finding
    seen: set[int] = set()
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            finding.total += 1
            _check_line(finding, line, number, endpoint, seen)
    if finding.total == 0:
        finding.refuse("empty_file", "The batch input file is empty.")
    if finding.total > MAX_REQUESTS:
        message = f"The batch input file contains too many requests. The maximum is {MAX_REQUESTS}."
        finding.refuse("max_requests_exceeded", message)
    if endpoint == "/v1/embeddings" and finding.inputs > MAX_INPUTS:
        message = f"The requests of the batch hold {finding.inputs} embedding inputs. The maximum is {MAX_INPUTS}."
        finding.refuse("max_inputs_exceeded", message)
    return finding


def _check_line(finding: Finding, line: bytes, number: int, endpoint: str, seen: set[int]) -> None:
    try:
        request = json.loads(line)
    except ValueError:
        finding.refuse("invalid_json_line", "This line is not parseable as valid JSON.", line=number)
        return
    if not isinstance(request, dict):
        finding.refuse("invalid_json_line", "This line is not a JSON object.", line=number)
        return
    for name in ("custom_id", "method", "url", "body"):
        if request.get(name) is None:
            finding.refuse("missing_required_parameter", f"Missing required parameter: '{name}'.", name, number)
    custom_id = request.get("custom_id")
    if isinstance(custom_id, str):
        if hash(custom_id) in seen:
            message = f"Duplicate custom_id: '{custom_id}'. Each request of a batch needs its own."
            finding.refuse("duplicate_custom_id", message, "custom_id", number)
        seen.add(hash(custom_id))
    elif custom_id is not None:
        finding.refuse("invalid_type", "Invalid type for 'custom_id': expected a string.", "custom_id", number)
    if request.get("method") not in (None, "POST"):
        finding.refuse("invalid_method", "The method of a batch request must be POST.", "method", number)
    if request.get("url") not in (None, endpoint):
        message = f"The URL '{request['url']}' does not match the endpoint of the batch, '{endpoint}'."
        finding.refuse("invalid_url", message, "url", number)
    _check_body(finding, request.get("body"), number)


def _check_body(finding: Finding, body: object, number: int) -> None:
    if body is None:
        return
    if not isinstance(body, dict):
        finding.refuse("invalid_type", "Invalid type for 'body': expected an object.", "body", number)
        return
    given = body.get("input")
    finding.inputs += len(given) if isinstance(given, list) else 1
    model = body.get("model")
    if not isinstance(model, str) or not model:
        finding.refuse("missing_required_parameter", "Missing required parameter: 'body.model'.", "body.model", number)
    elif finding.model is None:
        finding.model = model
    elif model != finding.model:
        message = f"All requests of a batch use one model: this line has '{model}', an earlier one '{finding.model}'."
        finding.refuse("mismatched_model", message, "body.model", number)
