"""HTML of the pages: values in, escaped text out. No cell, link or bar has a style of its own: HEADERS forbid the
browser all styles and scripts but the two that stand here, so no text of others becomes either.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

from opensearch_batch.pages.address import path_of_task

STYLE = (
    ":root{color-scheme:light dark;--ok:light-dark(#2b7de9,#5a9bf0);--done:light-dark(#a9cbf6,#35517a);"
    "--again:light-dark(#e0a100,#e3b341);--bad:light-dark(#c62828,#f0655c);--gone:light-dark(#7b4fa3,#b18ad6);"
    "--open:light-dark(#e3e6ea,#3a3f47);--line:light-dark(#d9dde2,#3a3f47)}"
    "body{font:15px/1.5 system-ui,sans-serif;margin:1.5rem auto;padding:0 1rem}"
    "h1,p,li,td,code{overflow-wrap:anywhere}"
    "h1{font-size:1.5rem}h2{font-size:1.2rem;margin-top:2rem}"
    ".scroll{overflow-x:auto;margin-bottom:1rem}table{border-collapse:collapse}"
    "td,th{padding:.15rem 1rem .15rem 0;text-align:left;vertical-align:top}"
    ".grid td,.grid th{white-space:nowrap;border-bottom:1px solid var(--line)}"
    ".grid td.words{white-space:normal;min-width:18rem}"
    "td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}"
    "figure{margin:1rem 0}svg.days{max-width:100%;height:auto;border-bottom:1px solid var(--line)}"
    "nav a{margin-right:1rem}"
    "svg.bar{height:.8em;width:8rem;vertical-align:-.05em;background:var(--open)}svg.total{height:1.4rem;width:100%}"
    "rect{fill:var(--ok)}.answered{fill:var(--ok)}.done{fill:var(--done)}.again{fill:var(--again)}"
    ".failed{fill:var(--bad)}.missing{fill:var(--gone)}.open{fill:var(--open)}"
    ".key{display:inline-block;margin-right:1.2rem}.key svg{height:.8em;width:.8em;margin-right:.35rem}"
)

# Airflow shows the page in a frame that may neither lead its parent elsewhere nor open a window: Airflow's own router
# is told instead, and a link to elsewhere is followed from the parent. The page is as dark as Airflow around it.
SCRIPT = """
const airflow = window.parent === window ? null : window.parent;
if (airflow) {
  const around = airflow.document.documentElement;
  const follow = () => {
    document.documentElement.style.colorScheme = around.classList.contains("dark") ? "dark" : "light";
  };
  new MutationObserver(follow).observe(around, {attributeFilter: ["class"]});
  follow();
}
document.addEventListener("click", event => {
  const link = event.target.closest("a[data-airflow], a[target]");
  if (!link || !airflow || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  if (link.target) {
    const outside = airflow.document.createElement("a");
    Object.assign(outside, {href: link.href, target: "_blank", rel: "noopener noreferrer"});
    outside.click();
    return;
  }
  airflow.history.pushState({}, "", link.href);
  airflow.dispatchEvent(new PopStateEvent("popstate", {state: {}}));
});
"""

Values = Mapping[str, Any]
UNFOLDED = 3


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src {_hash(STYLE)}; script-src {_hash(SCRIPT)}; base-uri 'none'; form-action 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}


def document(title: str, body: Iterable[str]) -> str:
    head = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{STYLE}</style><script>{SCRIPT}</script>"
    )
    return "\n".join([head, f"<h1>{escape(title)}</h1>", *body])


def table(values: Values) -> str:
    rows = (f"<tr><th>{escape(name)}<td>{shown(value)}" for name, value in values.items() if value not in (None, ""))
    return f"<table>{''.join(rows)}</table>"


def links(title: str, uris: Sequence[str]) -> Iterator[str]:
    """Many are folded in."""
    if uris:
        listed = f"<ul>{''.join(f'<li>{shown(uri)}' for uri in uris)}</ul>"
        folded = f"<details><summary>{number(len(uris))} files</summary>{listed}</details>"
        yield f"<h3>{title}</h3>{listed if len(uris) <= UNFOLDED else folded}"


def grid(names: Sequence[str], rows: Iterable[Iterable[str]], texts: frozenset[str]) -> Iterator[str]:
    """A table of cells that are HTML already; `texts` are the columns that are no numbers. In a narrow window the table
    scrolls, not the page. The column "words" may have long texts.
    """
    kinds = ["" if name in texts else ' class="n"' for name in names]
    kinds = [' class="words"' if name == "words" else kind for name, kind in zip(names, kinds, strict=True)]
    yield '<div class="scroll"><table class="grid">'
    yield "<tr>" + "".join(f"<th{kind}>{escape(name)}" for name, kind in zip(names, kinds, strict=True))
    for row in rows:
        yield "<tr>" + "".join(f"<td{kind}>{cell}" for cell, kind in zip(row, kinds, strict=True))
    yield "</table></div>"


def link(uri: str, text: str) -> str:
    """Away from Airflow; the text alone where there is no address."""
    if not uri:
        return text
    return f'<a target="_blank" rel="noopener noreferrer" href="{escape(uri)}">{text}</a>'


def task_link(instance: tuple[str, str, str, int], text: str) -> str:
    """To the task in Airflow's UI: dag, run, task, map index."""
    return f'<a data-airflow href="{escape(path_of_task(*instance))}">{escape(text)}</a>'


def shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, str):
        return code(value) if "://" in value else escape(value)
    return escape(number(value))


def code(text: str) -> str:
    return f"<code>{escape(text)}</code>"


def number(value: Any) -> str:
    return f"{value:,}"


def usd(value: float | None) -> str:
    return "unknown" if value is None else f"${value:,.4f}"
