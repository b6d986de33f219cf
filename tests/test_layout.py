"""The package's shape: what may import what, where a vendor may be named, what Airflow must not pick up."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLUGINS = ROOT / "plugins"
PACKAGE = PLUGINS / "opensearch_batch"
MODULES = sorted(PACKAGE.rglob("*.py"))
VENDORS = re.compile(r"(?<![A-Za-z])(openai|cohere|sagemaker|bedrock)(?![A-Za-z])", re.IGNORECASE)

# Parts of f-strings are tokens of their own since Python 3.12.
TEXT = (tokenize.NAME, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING))


def code_of(path: Path) -> Iterator[tuple[int, str]]:
    """Names and strings with their lines; comments and docstrings are prose."""
    before = tokenize.NEWLINE
    for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
        is_docstring = token.type == tokenize.STRING and before in (tokenize.NEWLINE, tokenize.INDENT, tokenize.NL)
        if token.type in TEXT and not is_docstring:
            yield token.start[0], token.string
        if token.type not in (tokenize.COMMENT, tokenize.NL, tokenize.ENCODING, tokenize.DEDENT):
            before = token.type


def test_airflow_is_told_to_leave_the_package_alone() -> None:
    lines = (PLUGINS / ".airflowignore").read_text(encoding="utf-8").split()
    assert "opensearch_batch/" in lines


def test_airflow_finds_no_module_of_the_package_among_the_plugins() -> None:
    code = (
        "from airflow._shared.module_loading.file_discovery import find_path_from_directory as find\n"
        f"print(*find({str(PLUGINS)!r}, '.airflowignore', 'glob'), sep='\\n')"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "opensearch_batch/" not in found


def test_no_file_that_airflow_imports_shadows_the_standard_library() -> None:
    """Airflow imports each *.py at the top of plugins/ by its stem."""
    assert not {path.stem for path in PLUGINS.glob("*.py")} & set(sys.stdlib_module_names)
    assert not {path.name for path in PLUGINS.iterdir() if path.is_dir()} & set(sys.stdlib_module_names)


def test_a_vendor_is_named_in_a_vendors_room_only() -> None:
    """Bedrock serves Cohere's models, so a room may name another vendor. providers/__init__.py lists them all."""
    named = [
        f"{path.relative_to(PLUGINS)}:{number}: {text}"
        for path in MODULES
        if path.parent.parent != PACKAGE / "providers" and path != PACKAGE / "providers" / "__init__.py"
        for number, text in code_of(path)
        if VENDORS.search(text)
    ]
    assert named == []


def test_vendors_are_found_where_they_are_allowed() -> None:
    """The search above would also pass if it found nothing anywhere."""
    assert any(VENDORS.search(text) for _, text in code_of(PACKAGE / "providers" / "openai" / "provider.py"))
    assert any(VENDORS.search(text) for _, text in code_of(PACKAGE / "providers" / "openai" / "store.py"))


def test_every_module_has_a_docstring_and_about_one_idea() -> None:
    long = {str(path.relative_to(PLUGINS)): n for path in MODULES if (n := len(path.read_text().splitlines())) > 400}
    assert long == {}
    bare = [str(path.relative_to(PLUGINS)) for path in MODULES if not path.read_text().startswith('"""')]
    assert [name for name in bare if (PLUGINS / name).stat().st_size] == []
