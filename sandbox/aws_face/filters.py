"""The JSONPath of a transform job's filters, as far as the sandbox reads it: `$`, `$.a.b`, `$['a','b']`.

https://docs.aws.amazon.com/sagemaker/latest/dg/batch-transform-data-processing.html
"""

from __future__ import annotations

import re
from typing import Any

from sandbox.aws_face.caller import AWSError

DOTTED = re.compile(r"\$((?:\.[A-Za-z_][\w-]*)*)")
PICKED = re.compile(r"\$\[\s*'[^']+'\s*(?:,\s*'[^']+'\s*)*\]")


def check(expression: str) -> None:
    """Raises AWSError (501) for what AWS reads and the sandbox does not."""
    if not DOTTED.fullmatch(expression) and not PICKED.fullmatch(expression):
        message = f"the sandbox does not serve the JSONPath {expression!r}: it reads $, $.a.b and $['a','b']"
        raise AWSError(501, "NotServedByTheSandbox", message)


def apply(expression: str, value: Any) -> Any:
    """The selected part: a value, or with `$['a','b']` an object of those that are there. KeyError if it has none."""
    if PICKED.fullmatch(expression):
        names = re.findall(r"'([^']+)'", expression)
        if not isinstance(value, dict):
            raise KeyError(expression)
        return {name: value[name] for name in names if name in value}
    for name in expression.split(".")[1:]:
        if not isinstance(value, dict):
            raise KeyError(expression)
        value = value[name]
    return value
