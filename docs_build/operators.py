"""docs/reference/operators.md: the public operators, the sensor and the DAG factory, from their docstrings."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from docs_build.docstrings import described
from docs_build.spec_fields import fields
from docs_build.tables import MADE, code, table
from opensearch_batch import operators
from opensearch_batch.operators import PrepareInputOperator
from opensearch_batch.pipeline import batch_inference
from opensearch_batch.sensor import BatchSensor
from opensearch_batch.spec import BatchSpec

ROOT = Path(__file__).resolve().parents[1]
BASE: Any = PrepareInputOperator.__mro__[1]
"""What all operators have; it is not public itself."""
PUBLIC = (*(getattr(operators, name) for name in operators.__all__), BatchSensor)

HEAD = f"""# Operators

{MADE}

Each operator works by hand, from keyword arguments, or from a spec. All may run twice, be killed at any line, be
cleared. They retry three times what may pass (`Transient`) and fail at once on what will not (`Terminal`):
[errors](errors.md). With `.partial()` give `retries` yourself: Airflow fills in its own default there.
A DAG of them, wired by hand: [the operators by hand](../how-to/by-hand.md).

```python
from opensearch_batch.operators import SubmitBatchOperator  # and the others
from opensearch_batch.sensor import BatchSensor
from opensearch_batch.pipeline import batch_inference
```

Parameters marked *t* are templated.

## What all have
"""


def operators_text() -> str:
    parts = [HEAD, _table(_rows(BASE, frozenset())), ""]
    known = frozenset(_parameters(BASE.__init__))
    for cls in PUBLIC:
        parts += [*_section(cls.__name__, cls), _table(_rows(cls, known)), ""]
    parts += [*_section("batch_inference", batch_inference), _table(_rows(batch_inference, frozenset())), ""]
    return "\n".join(parts)


def _section(title: str, thing: Any) -> Iterator[str]:
    path = Path(inspect.getsourcefile(thing) or "").resolve().relative_to(ROOT)
    yield f"## {title}\n"
    yield f"{described(thing).text}\n"
    yield f"[Source](../../{path.as_posix()})\n"


Row = tuple[str, str, str, str]


def _table(rows: list[Row]) -> str:
    return table(["parameter", "", "default", "meaning"], rows)


def _rows(thing: Any, without: frozenset[str]) -> list[Row]:
    """The parameters of the signature, then those that only the docstring names (Airflow's own)."""
    about = described(thing).parameters
    own = _parameters(thing.__init__ if inspect.isclass(thing) else thing)
    named = {name: own.get(name, "") for name in [*own, *about] if name not in without or name in about}
    templated = frozenset(getattr(thing, "template_fields", ()))
    return [
        (code(name), "*t*" if name in templated else "", default, _sentence(about.get(name, "")) or _as_in_a_spec(name))
        for name, default in named.items()
    ]


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _parameters(function: Callable[..., Any]) -> dict[str, str]:
    """Name and default; "required" where there is none, nothing where the default stands for "not given"."""
    found = {}
    for name, each in inspect.signature(function).parameters.items():
        if name == "self" or each.kind is inspect.Parameter.VAR_KEYWORD:
            continue
        required = each.default is inspect.Parameter.empty
        found[name] = "required" if required else "" if each.default in (None, "", ()) else code(repr(each.default))
    return found


def _as_in_a_spec(name: str) -> str:
    """Of a parameter that is a field of a spec: `max_bytes` is limits.max_bytes, `input_uri` input.uri."""
    same = [field for field, _ in fields(BatchSpec) if name in (field.rpartition(".")[2], field.replace(".", "_"))]
    return f"As [`{same[0]}`](spec.md) of a spec." if len(same) == 1 else ""
