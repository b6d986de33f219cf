"""Plots as SVG: bars a day, and a bar of the parts of a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from html import escape

HEIGHT, STEP, BAR = 80, 16, 12
"""In pixels."""
WHOLE, LEAST = 1000, 8
"""A whole bar, and the least part that is seen in it."""


def bars(title: str, values: dict[date, float], first: date, days: int, shown: Callable[[float], str]) -> str:
    """A bar for each of `days` days from `first` on. A bar's tooltip has the day and the value; a day without a value
    has no bar.
    """
    most = max(values.values(), default=0.0)
    if not most:
        return ""
    drawn = "".join(_bar(number, first, values, most, shown) for number in range(days))
    width, named, last = days * STEP, escape(title), first + timedelta(days=days - 1)
    return (
        f"<figure><figcaption>{named}, at most {escape(shown(most))} a day, {first} to {last}</figcaption>"
        f'<svg class="days" role="img" aria-label="{named}" viewBox="0 0 {width} {HEIGHT}" width="{width}">'
        f"{drawn}</svg></figure>"
    )


def _bar(number: int, first: date, values: dict[date, float], most: float, shown: Callable[[float], str]) -> str:
    day = first + timedelta(days=number)
    if not (value := values.get(day, 0.0)):
        return ""
    height = max(1.0, HEIGHT * value / most)
    told = escape(f"{day.isoformat()}: {shown(value)}")
    return (
        f'<rect x="{number * STEP}" y="{HEIGHT - height:.1f}" width="{BAR}" height="{height:.1f}">'
        f"<title>{told}</title></rect>"
    )


def stacked(parts: Mapping[str, int], of: int, kind: str = "") -> str:
    """A bar of the parts of a whole, one after the other; `kind` is a class on top. The parts' names are their classes.
    A part is never too small to be seen, and all parts together are never wider than the bar.
    """
    told = ", ".join(f"{rows:,} {name}" for name, rows in parts.items() if rows) or "none"
    drawn = "".join(
        f'<rect class="{escape(name)}" x="{x}" width="{width}" height="1"/>'
        for name, x, width in _laid_out({name: rows for name, rows in parts.items() if rows > 0}, of)
    )
    label = escape(f"{told} of {of:,}")
    return (
        f'<svg class="bar {kind}" role="img" aria-label="{label}" viewBox="0 0 {WHOLE} 1" preserveAspectRatio="none">'
        f"<title>{label}</title>{drawn}</svg>"
    )


def _laid_out(parts: Mapping[str, int], of: int) -> Iterator[tuple[str, int, int]]:
    """Name, place and width of each part."""
    whole = max(of, sum(parts.values()))
    widths = {name: max(LEAST, WHOLE * rows // whole) for name, rows in parts.items()}
    if over := max(0, sum(widths.values()) - WHOLE):
        widths[max(widths, key=lambda name: widths[name])] -= over
    x = 0
    for name, width in widths.items():
        yield name, x, width
        x += width


def share(done: int, of: int) -> str:
    """A bar of a part of a whole, beside both numbers."""
    return f"{stacked({'answered': done}, of)} {done:,} of {of:,}"


def legend(parts: Mapping[str, tuple[str, int]]) -> str:
    """By class the words and the number of each part."""
    return "".join(
        '<span class="key"><svg viewBox="0 0 1 1" aria-hidden="true">'
        f'<rect class="{escape(kind)}" width="1" height="1"/></svg>{rows:,} {escape(words)}</span>'
        for kind, (words, rows) in parts.items()
    )
