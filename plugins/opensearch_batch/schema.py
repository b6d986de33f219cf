"""Print the JSON schema of BatchSpec, for completion in editors.

`PYTHONPATH=plugins python -m opensearch_batch.schema > dags/specs/batch_spec.schema.json` writes the schema anew.
"""

from __future__ import annotations

import json

from opensearch_batch.spec import BatchSpec


def schema_text() -> str:
    """Return the JSON schema of BatchSpec with sorted keys."""
    return json.dumps({"title": "BatchSpec", **BatchSpec.model_json_schema()}, indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    print(schema_text(), end="")
