"""The Jinja templates of rows: what is one, and the fields that it may ask for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import cache, wraps
from typing import TYPE_CHECKING, Any

from opensearch_batch.errors import SpecError

if TYPE_CHECKING:
    import jinja2
    from jinja2.nodes import EvalContext
    from jinja2.sandbox import ImmutableSandboxedEnvironment

TELL_NULL = ("d", "default", "tojson")
"""Filters that tell null from an empty text."""


def compiled(where: str, source: str) -> tuple[jinja2.Template, list[str]]:
    """Return a template that runs in Jinja's sandbox and escapes nothing, with the names that it may ask of a row.

    A name of one of Jinja's functions (range, dict, …) is a field where it is not called. A null is empty where a text
    is made of it. Raise SpecError, begun with `where` and the line, for what is no template.
    """
    from jinja2 import TemplateSyntaxError

    environment, functions = _environment()
    try:
        asked = _fields(environment.parse(source), functions)
        called = {name: function for name, function in functions.items() if name not in asked}
        tree = _with_texts_put_together(environment.parse(source))
        return environment.from_string(tree, globals=called), sorted(asked)
    except TemplateSyntaxError as error:
        raise SpecError(f"{where}, line {error.lineno}: {error.message}") from None


def _fields(tree: jinja2.nodes.Template, functions: Collection[str]) -> set[str]:
    """The names that a parsed template looks up, but for functions that it calls. Changes the tree."""
    from jinja2 import meta, nodes

    for call in tree.find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name in functions:
            call.node.name += "()"
    return meta.find_undeclared_variables(tree) - {f"{name}()" for name in functions}


def _with_texts_put_together(tree: jinja2.nodes.Template) -> jinja2.nodes.Template:
    """Have ~ put texts together, of which null is an empty one: Jinja's own writes the word None. Changes the tree."""
    from jinja2 import nodes

    for concat in tree.find_all(nodes.Concat):
        concat.nodes = [
            nodes.Filter(each, "string", [], [], None, None, lineno=each.lineno, environment=each.environment)
            for each in concat.nodes
        ]
    return tree


@cache
def _environment() -> tuple[ImmutableSandboxedEnvironment, dict[str, Any]]:
    """Jinja's sandbox, and its functions, which no template has unless it calls them: a row without the field `range`
    would be sent with the function as Python prints it.
    """
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False, finalize=_or_empty)
    functions = dict(environment.globals)
    environment.globals.clear()
    filters = environment.filters | {"join": _join()}
    environment.filters = {name: given if name in TELL_NULL else _of_text(given) for name, given in filters.items()}
    return environment, functions


def _or_empty(value: Any) -> Any:
    return "" if value is None else value


def _of_text(given: Callable[..., Any]) -> Callable[..., Any]:
    """Return a filter of Jinja's that takes null for an empty text: Jinja's own make the word None of it."""
    at = 1 if hasattr(given, "jinja_pass_arg") else 0  # Jinja's context comes first

    @wraps(given)
    def of_text(*arguments: Any, **named: Any) -> Any:
        return given(*arguments[:at], _or_empty(arguments[at]), *arguments[at + 1 :], **named)

    return of_text


def _join() -> Callable[..., str]:
    """Jinja's filter join, in whose list null is an empty text."""
    from jinja2 import pass_eval_context
    from jinja2.filters import make_attrgetter, sync_do_join

    @pass_eval_context
    def join(context: EvalContext, values: Iterable[Any], d: str = "", attribute: str | int | None = None) -> str:
        of = make_attrgetter(context.environment, attribute)
        return sync_do_join(context, [_or_empty(of(value)) for value in values], d)

    return join


@cache
def fields_asked(where: str, source: str) -> list[str]:
    """Return the names that a template may ask of a row. Raise SpecError as `compiled` does. Each copy of a spec is
    checked again, and a good template once.
    """
    return compiled(where, source)[1]
