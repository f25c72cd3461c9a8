"""The style of charts: a trainer has one colour everywhere; names are text, never markup; light and dark templates."""

from __future__ import annotations

import html
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plotly.graph_objects import Figure, layout

# Okabe & Ito's colours with enough contrast on white and on black; grey is for everything but trainers.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#9A7FD1")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star")
DASHES = ("solid", "dash", "dot")
GREY = "#8A8A8A"
INK = {"light": "#1B1F24", "dark": "#E6E6E6"}
GRID = {"light": "#E3E5E8", "dark": "#34383E"}
MIDDLE = {"light": "#F4F4F2", "dark": "#24272C"}


@dataclass(frozen=True)
class Style:
    """Colour, and symbol and dash for readers who can't tell colours apart."""

    colour: str
    symbol: str
    dash: str

    def rgba(self, alpha: float = 0.18) -> str:
        """The colour with some opacity, as CSS."""
        red, green, blue = (int(self.colour[k : k + 2], 16) for k in (1, 3, 5))
        return f"rgba({red},{green},{blue},{alpha})"


def styles(names: Iterable[str]) -> dict[str, Style]:
    """Name → style, in order. After seven colours the dash changes."""
    return {
        name: Style(COLOURS[k % 7], SYMBOLS[k % 7], DASHES[k // 7 % 3]) for k, name in enumerate(dict.fromkeys(names))
    }


def label(text: object) -> str:
    """Escape a name for plotly, which reads tags and entities in every title, tick and legend."""
    return html.escape(str(text), quote=False)


def axes(theme: str, x: str, y: str) -> Figure:
    """An empty figure.

    Args:
        theme: "light" or "dark".
        x: Title of the x axis.
        y: Title of the y axis.
    """
    import plotly.graph_objects as go

    return go.Figure(
        layout={"template": template(theme), "xaxis": {"title": {"text": x}}, "yaxis": {"title": {"text": y}}}
    )


def template(theme: str = "light") -> layout.Template:
    """The template of all charts: transparent background, thin grid, legend above, margins that fit the labels."""
    import plotly.graph_objects as go

    axis = {
        "gridcolor": GRID[theme], "linecolor": GREY, "zeroline": False, "showline": True, "ticks": "outside",
        "tickcolor": GREY, "automargin": True, "title": {"standoff": 8, "font": {"size": 13}},
    }  # fmt: skip
    return go.layout.Template(
        layout={
            "font": {"family": "system-ui, sans-serif", "size": 13, "color": INK[theme]},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "xaxis": axis,
            "yaxis": axis,
            "margin": {"l": 8, "r": 12, "t": 8, "b": 8},
            "legend": {
                "orientation": "h",
                "x": 0,
                "xanchor": "left",
                "y": 1.02,
                "yanchor": "bottom",
                "font": {"size": 12},
            },
            "hovermode": "closest",
            "colorscale": {"diverging": [[0, "#D55E00"], [0.5, MIDDLE[theme]], [1, "#0072B2"]]},
        }
    )
