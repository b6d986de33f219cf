"""Plots as SVG: bars a day."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from html import escape

HEIGHT, STEP, BAR = 80, 16, 12
"""In pixels."""


def bars(title: str, values: dict[date, float], first: date, days: int, shown: Callable[[float], str]) -> str:
    """A bar for each of `days` days from `first` on. A bar's tooltip has the day and the value; a day without a value
    has no bar.
    """
    most = max(values.values(), default=0.0)
    if not most:
        return ""
    drawn = "".join(_bar(number, first, values, most, shown) for number in range(days))
    width, named = days * STEP, escape(title)
    return (
        f"<figure><figcaption>{named}, at most {escape(shown(most))} a day</figcaption>"
        f'<svg role="img" aria-label="{named}" viewBox="0 0 {width} {HEIGHT}" width="{width}">{drawn}</svg></figure>'
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


def share(done: int, of: int) -> str:
    """A bar of a part of a whole, with both numbers as its text."""
    part = min(100.0, 100 * done / of) if of else 0.0
    return f'<span class="share" style="--part:{part:.0f}%">{done:,} of {of:,}</span>'
