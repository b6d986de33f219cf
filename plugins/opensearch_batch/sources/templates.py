"""Templates: the text of a row by Jinja, in its sandbox; and how a spec says what is sent."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from opensearch_batch.errors import SpecError
from opensearch_batch.input_section import InputSection
from opensearch_batch.placeholders import is_uri, refuse_braces_alone
from opensearch_batch.row_template import compiled
from opensearch_batch.storage import exists, open_binary

WHERE = "input.template"


class UnfilledTemplate(Exception):
    """Why a template has no text for a row."""


class Template:
    """A compiled template; `fields` are the names that it may ask of a row.

    Nothing is escaped but by a filter. Raise SpecError, with the line, for what is no template, and for a prompt's
    fields in one brace instead of its own.
    """

    def __init__(self, source: str) -> None:
        self._template, self.fields = compiled(WHERE, source)
        refuse_braces_alone(WHERE, source, self.fields)
        self.source = source

    def filled(self, row: Mapping[str, Any]) -> str:
        """Return the text for a row. Raise UnfilledTemplate where a field is not there, or a filter cannot take it."""
        from jinja2 import TemplateError

        try:
            return self._template.render({name: row[name] for name in self.fields if name in row})
        except (TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise UnfilledTemplate(str(error)) from None
        except RecursionError:
            raise UnfilledTemplate("a field is nested too deeply to be written") from None


def wording_of(read: InputSection) -> str | Template | None:
    """Return how the text of a row is made: a prompt's text, a template, or None for a single field."""
    return read.prompt if read.template is None else _template_at(read.template)


@cache
def _template_at(said: str) -> Template:
    """Read and compile a template once in a process: rows are hashed, and sent, by the same words, whatever becomes of
    the file meanwhile.
    """
    return Template(_read(said) if is_uri(said) else said)


def _read(uri: str) -> str:
    if not exists(uri):
        raise SpecError(f"{WHERE}: there is no object {uri}")
    with open_binary(uri) as source:
        try:
            return source.read().decode()
        except UnicodeDecodeError as error:
            raise SpecError(f"{WHERE}: {uri} is not UTF-8: {error}") from None
