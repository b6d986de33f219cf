"""The Jinja templates of rows: what is one, and the fields that it may ask for."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import TYPE_CHECKING, Any

from opensearch_batch.errors import SpecError

if TYPE_CHECKING:
    import jinja2
    from jinja2.sandbox import ImmutableSandboxedEnvironment


def compiled(where: str, source: str) -> tuple[jinja2.Template, list[str]]:
    """Return a template that runs in Jinja's sandbox and escapes nothing, with the names that it may ask of a row.

    A name of one of Jinja's functions (range, dict, …) is a field where it is not called. Raise SpecError, begun with
    `where` and the line, for what is no template.
    """
    from jinja2 import TemplateSyntaxError

    environment, functions = _environment()
    try:
        asked = _fields(environment.parse(source), functions)
        called = {name: function for name, function in functions.items() if name not in asked}
        return environment.from_string(source, globals=called), sorted(asked)
    except TemplateSyntaxError as error:
        raise SpecError(f"{where}, line {error.lineno}: {error.message}") from None


def _fields(tree: jinja2.nodes.Template, functions: Collection[str]) -> set[str]:
    """The names that a parsed template looks up, but for functions that it calls. Changes the tree."""
    from jinja2 import meta, nodes

    for call in tree.find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name in functions:
            call.node.name += "()"
    return meta.find_undeclared_variables(tree) - {f"{name}()" for name in functions}


@cache
def _environment() -> tuple[ImmutableSandboxedEnvironment, dict[str, Any]]:
    """Jinja's sandbox, and its functions, which no template has unless it calls them: a row without the field `range`
    would be sent with the function as Python prints it.
    """
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
    functions = dict(environment.globals)
    environment.globals.clear()
    return environment, functions


@cache
def refuse_no_template(where: str, source: str) -> None:
    """Raise SpecError as `compiled` does. Each copy of a spec is checked again, and a good template once."""
    compiled(where, source)
