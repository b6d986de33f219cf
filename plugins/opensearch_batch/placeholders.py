"""Placeholders in a spec's texts: ${ENVIRONMENT} variables, and the {name} of a run or partition."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from string import Formatter
from typing import Any

from opensearch_batch.errors import SpecError

URI = re.compile(r"([a-z][a-z0-9+.-]*://|\$\{\w+\}).+")
PLACEHOLDER = re.compile(r"\{([^\W\d]\w*)\}")  # {3} is how often a regular expression repeats
JINJA = re.compile(r"\{\{\s*(\w[\w.]*)[^{}]*\}\}")
END = re.compile(r"(?<=[^:/])/+\Z")
"""The slash at the end of a folder's address; of file:/// it is none."""


def is_uri(text: str) -> bool:
    """Whether a text is a URI, or begins with the ${VARIABLE} of one, and is no template of Jinja. Names of objects may
    have spaces.
    """
    return "{{" not in text and "{%" not in text and URI.fullmatch(text) is not None


def refuse_jinja_alone(where: str, template: str | None, instead: str) -> None:
    """Raise SpecError, begun with `where`, for a template without a field but with words in two braces: Jinja's fields,
    which would be sent as the words.
    """
    found = JINJA.search(template or "")
    if found and all(name is None for _, name, _, _ in Formatter().parse(template or "")):
        raise SpecError(f"{where}: {found[0]} is no field: write {{{found[1]}}}, {instead}")


def refuse_braces_alone(where: str, template: str, fields: Collection[str]) -> None:
    """Raise SpecError, begun with `where`, for a Jinja template without `fields` but with a word in a brace: a prompt's
    field, which would be sent as the word.
    """
    if not fields and (found := PLACEHOLDER.search(template)):
        raise SpecError(f"{where}: {found[0]} is no field: write {{{{ {found[1]} }}}}, or say input.prompt")


def refuse_braces(where: str, template: str | None) -> None:
    """Raise SpecError, begun with `where`, for a template whose braces are not closed or not opened."""
    try:
        list(Formatter().parse(template or ""))
    except ValueError as error:
        raise SpecError(f"{where}: {error}. A brace of the text itself is written twice") from None


def without_end(folder: str) -> str:
    """Return the address of a folder without a slash at its end: object storage takes work//a for another folder's."""
    return END.sub("", folder)


def fill_each(where: str, value: Any, placeholders: dict[str, str | None]) -> Any:
    """Fill in each text of nested values."""
    if isinstance(value, dict):
        return {key: fill_each(where, inner, placeholders) for key, inner in value.items()}
    if isinstance(value, list):
        return [fill_each(where, inner, placeholders) for inner in value]
    return fill(where, value, placeholders) if isinstance(value, str) else value


def fill(where: str, uri: str, placeholders: dict[str, str | None]) -> str:
    """Return the text with its values. Raise SpecError, begun with `where`, for what is unknown or has no value."""

    def variable(match: re.Match[str]) -> str:
        if (value := os.environ.get(match[1])) is None:
            raise SpecError(f"{where}: environment variable {match[1]} is not set on this worker (in {uri!r})")
        return without_end(value) if uri.startswith("/", match.end()) else value

    def placeholder(match: re.Match[str]) -> str:
        if match[1] not in placeholders:
            raise SpecError(
                f"{where}: unknown placeholder {match[0]} in {uri!r}; known: {', '.join(sorted(placeholders))}"
            )
        if (value := placeholders[match[1]]) is None:
            raise SpecError(
                f"{where}: this run has no {match[1]}. Name it in the run's conf, e.g. "
                f'{{"{match[1]}": "2026-01-31"}}, or give the DAG a schedule with data intervals.'
            )
        return value

    return PLACEHOLDER.sub(placeholder, re.sub(r"\$\{(\w+)\}", variable, uri))
