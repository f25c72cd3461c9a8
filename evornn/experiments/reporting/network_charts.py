"""Charts of one network: weights, eigenvalues, activity, trajectory. Pure functions from arrays to a plotly figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from evornn.arrays import Floats
from evornn.experiments.reporting import charts
from evornn.experiments.reporting.network_summary import NetworkSummary, Trajectory
from evornn.experiments.reporting.palette import GREY, axes, label, styles
from evornn.tasks.core.task import Baseline

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

MAX_SIZE = 300  # rows or columns; larger matrices are not drawn
MAX_TICKS = 16  # rows or columns; with more, not every one has a number
MAX_MATRICES = 12  # the largest ones are drawn


def network_figures(portrait: NetworkSummary, baselines: Sequence[Baseline] = ()) -> list[tuple[str, Figure]]:
    """All charts of a network in reading order, each with its caption."""
    figures: list[tuple[str, Figure]] = []
    if portrait.forecast is not None:
        figures.append(
            ("Forecast of the test split over the measured series; click a baseline's name to see it.",
             charts.forecasts(portrait.forecast, {}, baselines))
        )  # fmt: skip
    if portrait.trajectory is not None:
        text = f"The controlled plant, first episode: {len(portrait.trajectory.path) - 1} control steps."
        figures.append((text, trajectory(portrait.trajectory)))
    if portrait.recurrent:
        text = "Eigenvalues of the recurrent matrices. Within the circle a linear network forgets, beyond it explodes."
        figures.append((text, eigenvalues(portrait.recurrent)))
    for name, values in portrait.activity.items():
        text = f"State {name} of every unit over the first test sequence ({len(values)} steps)."
        figures.append((text, activity(values)))
    matrices = [(name, m) for name, m in portrait.weights.items() if m.shape[1] > 1 and max(m.shape) <= MAX_SIZE]
    for name, values in sorted(matrices, key=lambda item: -item[1].size)[:MAX_MATRICES]:
        figures.append((f"Weights {name} ({values.shape[0]} × {values.shape[1]}).", weights(values)))
    return figures


def weights(values: Floats, theme: str = "light") -> Figure:
    """A matrix [rows, columns] as a heat map, from columns to rows; blue is positive, orange negative."""
    return _heatmap(values, "from", "to", "from %{x} to %{y}: %{z:.4g}", theme)


def activity(values: Floats, theme: str = "light") -> Figure:
    """A state [T, units] over a sequence."""
    return _heatmap(values.T, "time step", "unit", "step %{x}, unit %{y}: %{z:.4g}", theme)


def eigenvalues(matrices: Mapping[str, Floats], theme: str = "light") -> Figure:
    """Eigenvalues of square matrices in the complex plane, with the unit circle. A non-finite matrix has none."""
    figure = axes(theme, "real part", "imaginary part")
    turn = np.linspace(0, 2 * np.pi, 181)
    figure.add_scatter(
        x=np.cos(turn), y=np.sin(turn), mode="lines", name="unit circle", line={"color": GREY, "width": 1},
        hoverinfo="skip",
    )  # fmt: skip
    looks = styles(matrices)
    for name, values in matrices.items():
        roots = np.linalg.eigvals(values.astype(np.float64)) if np.isfinite(values).all() else np.zeros(0, complex)
        marker = {"color": looks[name].colour, "symbol": looks[name].symbol, "size": 8, "opacity": 0.85}
        figure.add_scatter(x=roots.real, y=roots.imag, mode="markers", name=label(name), marker=marker)
    figure.update_xaxes(constrain="domain")
    return figure.update_yaxes(scaleanchor="x", scaleratio=1)


def trajectory(episode: Trajectory, theme: str = "light") -> Figure:
    """The states of a plant over its control steps, one chart below the other."""
    figure, count = axes(theme, "control step", ""), len(episode.states)
    steps = np.arange(len(episode.path))
    for k, (name, style) in enumerate(styles(episode.states).items()):
        axis = "y" if k == 0 else f"y{k + 1}"
        figure.add_scatter(x=steps, y=episode.path[:, k], name=label(name), yaxis=axis, line={"color": style.colour})
        top = 1 - k / count
        place = {"domain": [top - 0.85 / count, top], "title": {"text": label(name.replace("_", " "))}}
        figure.update_layout({f"yaxis{k + 1 if k else ''}": place})
    figure.update_xaxes(anchor="y" if count == 1 else f"y{count}")
    return figure.update_layout(showlegend=False, height=max(260, 130 * count))


def _heatmap(values: Floats, x: str, y: str, hover: str, theme: str) -> Figure:
    """A heat map centred at zero; non-finite values are holes."""
    finite: Any = np.where(np.isfinite(values), values, np.nan)
    most = float(np.nanmax(np.abs(finite))) if np.isfinite(finite).any() else 1.0
    figure = axes(theme, x, y)
    figure.add_heatmap(
        z=finite, zmin=-most or -1.0, zmax=most or 1.0, zmid=0, autocolorscale=True, hoverongaps=False,
        hovertemplate=f"{hover}<extra></extra>", colorbar={"thickness": 10, "tickformat": ".2~g"},
    )  # fmt: skip
    rows, columns = values.shape
    figure.update_xaxes(showgrid=False, tickformat="d", dtick=1 if columns <= MAX_TICKS else None)
    return figure.update_yaxes(
        showgrid=False, autorange="reversed", tickformat="d", dtick=1 if rows <= MAX_TICKS else None
    )
