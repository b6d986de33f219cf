"""docs/reference/errors.md: each error, whether Airflow tries again, and what a person does."""

from __future__ import annotations

import re
from collections.abc import Iterator

from docs_build.docstrings import described
from docs_build.tables import MADE, code, table
from opensearch_batch.errors import BatchError, Terminal, Transient

HEAD = f"""# Errors and what to do

{MADE}

Every error says what happened, to which id, and what to do next. Its class decides what Airflow does:
a `Terminal` fails the task at once, a `Transient` lets it try again (three times, unless the DAG says otherwise).
The words that a log or a report shows, with what each means: [when it breaks](../how-to/when-it-breaks.md).
"""
DO = "\n\nDo: "


def errors_text() -> str:
    parts = [HEAD]
    for base, title in (
        (Terminal, "Terminal: repeating cannot help"),
        (Transient, "Transient: a later try may succeed"),
    ):
        rows = [_row(depth, each) for depth, each in _below(base)]
        parts += [f"## {title}\n", table(["error", "meaning", "what to do"], rows), ""]
    return "\n".join(parts)


def _below(base: type[BatchError], depth: int = 0) -> Iterator[tuple[int, type[BatchError]]]:
    for each in base.__subclasses__():
        if each.__module__ != base.__module__:  # what a step raises for itself, no user sees
            continue
        yield depth, each
        yield from _below(each, depth + 1)


def _row(depth: int, error: type[BatchError]) -> tuple[str, str, str]:
    meaning, _, do = described(error).text.partition(DO)
    kind = f", a kind of {code(error.__bases__[0].__name__)}" if depth else ""
    linked = re.sub(r"docs/([\w/-]+\.md)", r"[\1](../\1)", do)
    return code(error.__name__) + kind, meaning, linked[:1].upper() + linked[1:]
