"""mkdocs' hook: what a page links to outside docs/ becomes a page of the site, so that a link that works in the
repository works there too. A link to nothing is left alone, and mkdocs fails on it.

A Python file, a spec or a folder is shown; a Markdown page of the repository is a page like those in docs/.
"""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File, InclusionLevel

from docs_build.links import links, resolved, rewritten

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
SHOWN = "source"
LANGUAGES = {".py": "python", ".yaml": "yaml", ".yml": "yaml", ".json": "json", ".toml": "toml", ".sh": "sh"}
ALWAYS = ("CONTRIBUTING.md", "CHANGELOG.md", "sandbox/README.md", "benchmarks/RESULTS.md")
"""Pages of the site's navigation that lie outside docs/."""


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add a page for each file and folder outside docs/ that is linked to, and for those that these link to."""
    waiting = [*ALWAYS, *(f"docs/{file.src_uri}" for file in files.documentation_pages())]
    seen = set(waiting)
    while waiting:
        path = waiting.pop()
        if not path.startswith("docs/"):
            made = File.generated(config, _shown(path), content=_content(path))
            made.inclusion = InclusionLevel.INCLUDED if path in ALWAYS else InclusionLevel.NOT_IN_NAV
            files.append(made)
        if path.endswith(".md"):
            found = set(_outside(path)) - seen
            seen |= found
            waiting += sorted(found)
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    here = page.file.src_uri
    path = here.removeprefix(f"{SHOWN}/") if here.startswith(f"{SHOWN}/") else f"docs/{here}"
    return rewritten(markdown, lambda target: _on_the_site(target, path, here)) if path.endswith(".md") else markdown


def _outside(path: str) -> Iterator[str]:
    for target in links((ROOT / path).read_text(encoding="utf-8")):
        found, _ = resolved(target, path)
        if not _is_in_docs(found) and (ROOT / found).exists():
            yield found


def _is_in_docs(path: str) -> bool:
    return path == "docs" or path.startswith("docs/")


def _shown(path: str) -> str:
    """Where the site shows a file or folder of the repository."""
    return f"{SHOWN}/{path}" if path.endswith(".md") else f"{SHOWN}/{path}.md"


def _on_the_site(target: str, path: str, here: str) -> str:
    """The link of the page at `path`, which the site has at `here`."""
    if target.startswith("#"):
        return target
    found, anchor = resolved(target, path)
    if not (ROOT / found).exists():
        return target
    there = found.removeprefix("docs/") if _is_in_docs(found) else _shown(found)
    return posixpath.relpath(there, posixpath.dirname(here) or ".") + (anchor if there.endswith(".md") else "")


def _content(path: str) -> str:
    whole = ROOT / path
    if whole.is_dir():
        return _folder(whole, path)
    text = whole.read_text(encoding="utf-8")
    if path.endswith(".md"):
        return text
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall(r"`+", text) or [""]))
    return f"# {path}\n\n{fence}{LANGUAGES.get(whole.suffix, 'text')}\n{text.rstrip()}\n{fence}\n"


def _folder(whole: Path, path: str) -> str:
    rows = [
        f"| `{each.name}{'/' if each.is_dir() else ''}` | {_first_sentence(each)} |"
        for each in sorted(whole.iterdir())
        if not each.name.startswith((".", "__pycache__"))
    ]
    return "\n".join([f"# {path}", "", "| | |", "|---|---|", *rows, ""])


def _first_sentence(path: Path) -> str:
    """Of a module's, or a package's, docstring."""
    module = path / "__init__.py" if path.is_dir() else path
    if module.suffix != ".py" or not module.exists():
        return ""
    said = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or ""
    return " ".join(said.partition("\n\n")[0].split()).replace("|", "\\|")
