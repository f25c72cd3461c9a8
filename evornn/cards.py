"""What objects look like in a notebook: a title and facts, as a small table of HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

LEFT = "style='text-align:left'"


def card(title: str, facts: Mapping[str, Any], figure: str = "") -> str:
    """A title, then name and value of each fact; what is None is left out.

    Args:
        title: Of the object.
        facts: Name → value.
        figure: HTML that follows, such as `curve`.
    """
    rows = "".join(
        f"<tr><th {LEFT}>{escape(name)}</th><td {LEFT}>{escape(_text(value))}</td></tr>"
        for name, value in facts.items()
        if value is not None
    )
    return f"<div><strong>{escape(title)}</strong><table>{rows}</table>{figure}</div>"


def curve(values: Sequence[float], title: str, width: int = 240, height: int = 48) -> str:
    """A line of numbers as a picture (SVG); empty for fewer than two.

    Args:
        values: From left to right; those that are not finite are left out.
        title: For who can't see it, and when the pointer rests on it.
        width: In pixels.
        height: In pixels.
    """
    known = [(k, value) for k, value in enumerate(values) if abs(value) < float("inf")]
    if len(known) < 2:
        return ""
    low, high = min(value for _, value in known), max(value for _, value in known)
    points = " ".join(
        f"{2 + k / (len(values) - 1) * (width - 4):.1f},{2 + (high - value) / ((high - low) or 1) * (height - 4):.1f}"
        for k, value in known
    )
    return (
        f"<svg width='{width}' height='{height}' role='img'><title>{escape(title)}</title>"
        f"<polyline points='{points}' fill='none' stroke='currentColor' stroke-width='1.5'/></svg>"
    )


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
