"""Print the JSON schema of BatchSpec, which editors use for completion (dags/specs/batch_spec.schema.json)."""

from __future__ import annotations

import json

from opensearch_batch.spec import BatchSpec


def schema_text() -> str:
    return json.dumps({"title": "BatchSpec", **BatchSpec.model_json_schema()}, indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    print(schema_text(), end="")
