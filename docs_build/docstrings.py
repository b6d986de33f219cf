"""A docstring taken apart: what it says, and what it says of each parameter (`:param name: …`)."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Described:
    """`text` in paragraphs; `parameters` by name."""

    text: str
    parameters: dict[str, str]


def described(thing: object) -> Described:
    text, *parameters = re.split(r"^:param ", inspect.getdoc(thing) or "", flags=re.MULTILINE)
    found = {name.strip(): about.strip() for name, _, about in (each.partition(":") for each in parameters)}
    return Described(text.strip(), found)
