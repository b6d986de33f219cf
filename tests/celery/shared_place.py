"""What lies in the machines' shared place, S3, as a person with a client of their own sees it."""

from __future__ import annotations

import json
from typing import Any

from stack.several import DATA_URI
from stack.vendors import BUCKET, client

ROWS = 50
IDS = [f"row-{number}" for number in range(ROWS)]
INPUT = "embed_stdlib_docs/docstrings.jsonl"
"""The input of dags/specs/embed_stdlib_docs.yaml."""


def put_rows(sandbox_url: str) -> None:
    lines = [json.dumps({"id": each, "text": f"the text of {each}"}) for each in IDS]
    client("s3", sandbox_url).put_object(Bucket=BUCKET, Key=f"data/{INPUT}", Body="\n".join(lines).encode())


def rows_at(sandbox_url: str, uri: str) -> list[dict[str, Any]]:
    """Of a file of JSON lines below DATA_URI."""
    assert uri.startswith(DATA_URI)
    key = "data" + uri.removeprefix(DATA_URI)
    content: bytes = client("s3", sandbox_url).get_object(Bucket=BUCKET, Key=key)["Body"].read()
    return [json.loads(line) for line in content.splitlines()]
