"""HTML of the pages: values in, escaped text out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color-scheme:light dark}"
    "table{border-collapse:collapse}td,th{padding:.15rem 1rem .15rem 0;text-align:left;vertical-align:top}"
    "code{overflow-wrap:anywhere}"
    "body.wide{max-width:none}.scroll{overflow-x:auto;white-space:nowrap}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}"
    "figure{margin:1rem 0}svg{max-width:100%;height:auto}rect{fill:#2b7de9}"
    ".share{padding:0 .3rem;white-space:nowrap;background:linear-gradient(90deg,#2b7de955 var(--part),transparent 0)}"
)

Values = Mapping[str, Any]


def document(title: str, body: Iterable[str], kind: str = "") -> str:
    """`kind` is the class of the body."""
    head = f'<!doctype html><meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>'
    return "\n".join([f'{head}<body class="{kind}">', f"<h1>{escape(title)}</h1>", *body])


def table(values: Mapping[str, Any]) -> str:
    rows = (f"<tr><th>{escape(name)}<td>{shown(value)}" for name, value in values.items() if value not in (None, ""))
    return f"<table>{''.join(rows)}</table>"


def links(title: str, uris: Sequence[str]) -> Iterator[str]:
    if uris:
        yield f"<h3>{title}</h3><ul>{''.join(f'<li>{shown(uri)}' for uri in uris)}</ul>"


def rows(title: str, names: Sequence[str], rows: Iterable[Values]) -> Iterator[str]:
    lines = ["<tr>" + "".join(f"<td>{shown(row.get(name, ''))}" for name in names) for row in rows]
    if lines:
        head = "".join(f"<th>{escape(name.replace('_', ' '))}" for name in names)
        yield f"{f'<h3>{title}</h3>' if title else ''}<table><tr>{head}{''.join(lines)}</table>"


def shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, str):
        return f"<code>{escape(value)}</code>" if "://" in value else escape(value)
    return escape(number(value))


def number(value: Any) -> str:
    return f"{value:,}"


def usd(value: float | None) -> str:
    return "unknown" if value is None else f"${value:,.4f}"
