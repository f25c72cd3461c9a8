"""Charts of trainers over all tasks: pure functions from a comparison's records to a plotly figure, as in `charts`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from evornn.experiments.analysis.comparison import OverallResult, Ranking
from evornn.experiments.reporting.palette import GREY, axes, label

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from evornn.experiments.reporting.charts import Styles

RULER, FIRST_BAR, BAR, ROW = 1.0, -0.5, 0.4, 1.0  # heights relative to the axis of ranks


def relative_losses(overall: Sequence[OverallResult], reference: str, styles: Styles, theme: str = "light") -> Figure:
    """Interquartile means with their 95 % intervals, the best on top; infinite bounds end at the edge.

    Args:
        overall: Results of the trainers, best first.
        reference: Title of the axis: what losses are relative to.
        styles: Trainer → style.
        theme: "light" or "dark".
    """
    figure = axes(theme, reference, "trainer")
    bounds = [bound for o in overall for bound in (o.iqm.low, o.iqm.value, o.iqm.high) if np.isfinite(bound)]
    edge = 1.05 * max(bounds, default=1.0)
    for o in overall:
        style, row = styles[o.trainer], label(o.trainer)
        ends = [min(o.iqm.low, edge), min(o.iqm.high, edge)]
        figure.add_scatter(
            x=ends, y=[row, row], mode="lines", line={"color": style.rgba(0.55), "width": 8}, hoverinfo="skip"
        )
        figure.add_scatter(
            x=[o.iqm.value if np.isfinite(o.iqm.value) else None], y=[row], mode="markers", name=row,
            marker={"color": style.colour, "symbol": style.symbol, "size": 10},
            hovertemplate="%{y}: %{x:.4g}<extra></extra>",
        )  # fmt: skip
    figure.add_vline(x=1, line={"color": GREY, "dash": "dash", "width": 1.5}, layer="below")
    figure.update_layout(showlegend=False)
    return figure.update_yaxes(type="category", autorange="reversed")


def critical_differences(ranking: Ranking, styles: Styles, theme: str = "light") -> Figure:
    """Critical-difference diagram (Demšar 2006, fig. 1): trainers at their mean ranks, the best on the left.

    A bar joins trainers that do not differ significantly; the ruler above shows the critical difference.

    Args:
        ranking: Ranking of the trainers, with at least two tasks.
        styles: Trainer → style.
        theme: "light" or "dark".
    """
    figure = axes(theme, f"mean rank over {len(ranking.tasks)} tasks", "")
    count = len(ranking.trainers)
    top = FIRST_BAR - BAR * len(ranking.alike) - ROW / 2
    heights = [top - ROW * min(k, count - 1 - k) for k in range(count)]
    _pointers(figure, ranking, heights, styles)
    for k, group in enumerate(ranking.alike):
        first, last = (ranking.means[ranking.trainers.index(name)] for name in (group[0], group[-1]))
        _bar(figure, first - 0.03, last + 0.03, FIRST_BAR - BAR * k)
    if ranking.critical is not None:
        _ruler(figure, ranking.critical)
    figure.update_layout(showlegend=False)
    figure.update_yaxes(range=[min(heights) - 0.5, RULER + 0.8], showgrid=False, showline=False, ticks="")
    return figure.update_xaxes(side="top", range=_rank_range(count), dtick=1 if count <= 12 else 2)


def _rank_range(count: int) -> tuple[float, float]:
    """Ends of the axis of ranks, where the pointers end."""
    return 0.9, count + 0.1


def _pointers(figure: Figure, ranking: Ranking, heights: Sequence[float], styles: Styles) -> None:
    """Draw the pointers. The names of the better half are ticks of an axis on the left, the others on the right."""
    middle, ends = (len(heights) + 1) // 2, _rank_range(len(heights))
    for axis, end, part in (("y", ends[0], slice(0, middle)), ("y2", ends[1], slice(middle, None))):
        names = ranking.trainers[part]
        for name, mean, height in zip(names, ranking.means[part], heights[part], strict=True):
            _pointer(figure, mean, height, end, axis, name, styles)
        ticks = {"tickvals": heights[part], "ticktext": [label(name) for name in names]}
        figure.update_layout({axis.replace("y", "yaxis"): ticks})
    figure.update_layout(yaxis2={"side": "right", "overlaying": "y"})


def _pointer(figure: Figure, mean: float, height: float, edge: float, axis: str, name: str, styles: Styles) -> None:
    """Draw a line from a trainer's mean rank down, and out to its name."""
    style = styles[name]
    figure.add_scatter(
        x=[mean, mean, edge], y=[0, height, height], yaxis=axis, mode="lines+markers", name=label(name),
        line={"color": style.colour, "dash": style.dash, "width": 1.8},
        marker={"color": style.colour, "symbol": style.symbol, "size": [9, 0, 0]},
        hovertemplate=f"{label(name)}: {mean:.2f}<extra></extra>",
    )  # fmt: skip


def _bar(figure: Figure, left: float, right: float, height: float) -> None:
    line = {"color": GREY, "width": 6}
    figure.add_scatter(x=[left, right], y=[height, height], mode="lines", line=line, hoverinfo="skip")


def _ruler(figure: Figure, critical: float) -> None:
    figure.add_scatter(
        x=[1, 1 + critical], y=[RULER, RULER], mode="lines+markers", hoverinfo="skip",
        line={"color": GREY, "width": 2}, marker={"symbol": "line-ns-open", "size": 9, "color": GREY},
    )  # fmt: skip
    figure.add_annotation(
        x=1, y=RULER, xanchor="left", yanchor="bottom", yshift=4, showarrow=False,
        text=f"critical difference {critical:.2f}",
    )  # fmt: skip
