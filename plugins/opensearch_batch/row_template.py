"""The Jinja templates of rows: what is one, and the fields that it may ask for."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from opensearch_batch.errors import SpecError

if TYPE_CHECKING:
    import jinja2
    from jinja2.sandbox import ImmutableSandboxedEnvironment


def compiled(where: str, source: str) -> tuple[jinja2.Template, list[str]]:
    """Return a template that runs in Jinja's sandbox and escapes nothing, with the names that it may ask of a row.

    Raise SpecError, begun with `where` and the line, for what is no template.
    """
    from jinja2 import TemplateSyntaxError, meta

    try:
        asked = meta.find_undeclared_variables(_environment().parse(source))
        return _environment().from_string(source), sorted(asked)
    except TemplateSyntaxError as error:
        raise SpecError(f"{where}, line {error.lineno}: {error.message}") from None


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    return ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)


@cache
def refuse_no_template(where: str, source: str) -> None:
    """Raise SpecError as `compiled` does. Each copy of a spec is checked again, and a good template once."""
    compiled(where, source)
