"""The pages that are made from the code, by their path in the repository."""

from __future__ import annotations

from docs_build.errors import errors_text
from docs_build.faults import faults_text
from docs_build.operators import operators_text
from docs_build.spec_fields import spec_text
from docs_build.versions import versions_text


def pages() -> dict[str, str]:
    return {
        "docs/reference/spec.md": spec_text(),
        "docs/reference/operators.md": operators_text(),
        "docs/reference/errors.md": errors_text(),
        "docs/reference/sandbox-faults.md": faults_text(),
        "docs/versions.md": versions_text(),
    }
