"""Relative links of the repository's Markdown: found, resolved, rewritten."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator

FENCE = re.compile(r"^( *)(```+|~~~+).*?^\1\2[ \t]*$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]+`")
LINK = re.compile(r"(\]\()([^)\s]+)(\))")


def links(markdown: str) -> Iterator[str]:
    """Targets of links and pictures outside code, without those that have a scheme."""
    for match in LINK.finditer(_without_code(markdown)):
        if not _is_foreign(match[2]):
            yield match[2]


def rewritten(markdown: str, change: Callable[[str], str]) -> str:
    """The same text with each relative target replaced; code stays as it is."""
    bare = _without_code(markdown)
    parts, end = [], 0
    for match in LINK.finditer(bare):
        if not _is_foreign(match[2]):
            parts += [markdown[end : match.start(2)], change(match[2])]
            end = match.end(2)
    return "".join([*parts, markdown[end:]])


def resolved(target: str, page: str) -> tuple[str, str]:
    """Path in the repository, and the anchor with its #, of a target on the page at this path."""
    path, sharp, anchor = target.partition("#")
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), path)) if path else page, sharp + anchor


def anchors(markdown: str) -> set[str]:
    """Of the page's headings, as GitHub and the site name them."""
    titles = re.findall(r"^#{1,6} +(.+?) *$", FENCE.sub("", markdown), re.MULTILINE)
    return {"#" + slug(title) for title in titles}


def slug(title: str) -> str:
    bare = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).lower()
    return re.sub(r"[^\w\- ]", "", bare).strip().replace(" ", "-")


def _is_foreign(target: str) -> bool:
    return re.match(r"[a-z]+:", target) is not None


def _without_code(markdown: str) -> str:
    """Of the same length: code is blanked, so that places stay the same. A link's own text may be code."""
    fenceless = FENCE.sub(lambda match: " " * len(match[0]), markdown)
    return CODE.sub(lambda match: " " * len(match[0]), fenceless)
