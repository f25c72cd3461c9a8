"""Charts: pure functions from data to a plotly figure, shared by the report and the dashboard.

`styles` (see `palette.styles`) gives a trainer the same colour in every chart; `theme` is light or dark. Losses are in
the task's loss and scaling, forecasts in original units. Frames are those of `compare`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from evornn.data.scaling import Doubles
from evornn.experiments.analysis import statistics
from evornn.experiments.analysis.comparison import PairwiseTests, ResultCell
from evornn.experiments.analysis.statistics import Sample
from evornn.experiments.analysis.targets import TaskRuns, Track, costs
from evornn.experiments.reporting.palette import GREY, Style, axes, label
from evornn.tasks.core.task import Baseline, Chart

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure

Styles = Mapping[str, Style]
STEPS, SECONDS = "network steps", "computing time of a run [s]"
BUDGET = "network steps, as a share of the task's longest run"
POINTS = 200


@dataclass(frozen=True)
class ForecastLines:
    """Predictions on the test split, label → [B, O] in original units, the chosen network's first.

    `trainers` gives a label the colour of its trainer.
    """

    chart: Chart
    predictions: Mapping[str, Doubles]
    trainers: Mapping[str, str] = field(default_factory=dict)


def learning_curves(
    runs: DataFrame,
    tracks: Mapping[int, Track],
    styles: Styles,
    x: str = "network_steps",
    reference: tuple[str, float] | None = None,
    theme: str = "light",
) -> Figure:
    """Validation loss of the champion so far: median and middle half over seeds.

    The band reaches the top where failed runs leave no finite upper quartile; the line ends where most runs failed.

    Args:
        runs: Finished runs of one task and network.
        tracks: Run → its track.
        styles: Trainer → style.
        x: "network_steps" or "seconds".
        reference: Name and loss of a horizontal line, such as the best baseline's.
        theme: "light" or "dark".
    """
    bands = {name: _band(group, tracks, x) for name, group in runs.groupby("trainer", sort=False)}
    figure = axes(theme, STEPS if x == "network_steps" else SECONDS, "validation loss, best so far")
    known = np.concatenate([np.concatenate(band[1:]) for band in bands.values()])
    top = float(np.nanmax(known)) if np.isfinite(known).any() else 1.0
    for name, (at, low, middle, high) in bands.items():
        style = styles[name]
        line = {"color": style.colour, "dash": style.dash, "width": 2}
        edge = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False, "legendgroup": name}
        figure.add_scatter(x=at, y=np.nan_to_num(low, nan=top), **edge)
        figure.add_scatter(x=at, y=np.nan_to_num(high, nan=top), fill="tonexty", fillcolor=style.rgba(), **edge)
        figure.add_scatter(x=at, y=middle, name=label(name), legendgroup=name, mode="lines", line=line)
    _loss_axis(figure, known)
    return _add_reference(figure, reference)


def final_losses(
    runs: DataFrame, styles: Styles, reference: tuple[str, float] | None = None, theme: str = "light"
) -> Figure:
    """Test loss of every run (a point each) and quartiles, by network and trainer. Failed runs have no point.

    Args:
        runs: Finished runs of one task.
        styles: Trainer → style.
        reference: Name and loss of a horizontal line, such as the best baseline's.
        theme: "light" or "dark".
    """
    figure = axes(theme, "network", "test loss")
    for name, group in runs.groupby("trainer", sort=False):
        style = styles[name]
        figure.add_box(
            x=[label(network) for network in group["network"]], y=_inf_to_nan(group["test_loss"]), name=label(name),
            boxpoints="all", jitter=0.5, pointpos=0, fillcolor=style.rgba(),
            marker={"color": style.colour, "symbol": style.symbol, "size": 5},
            line={"color": style.colour, "width": 1.2}, offsetgroup=name, customdata=group["seed"],
            hovertemplate="%{x}, seed %{customdata}: %{y:.4g}",
        )  # fmt: skip
    figure.update_layout(boxmode="group", boxgap=0.15, boxgroupgap=0.2, xaxis_type="category")
    _loss_axis(figure, runs["test_loss"].to_numpy(float))
    return _add_reference(figure, reference)


def runtimes(
    problems: Sequence[TaskRuns], tracks: Mapping[int, Track], styles: Styles, theme: str = "light", x: str = STEPS
) -> Figure:
    """ECDF of runtimes: the share of (run, target) pairs reached within so many network steps. Higher is better.

    It aggregates targets of one or several tasks, each in its own unit of cost, as in COCO (Hansen et al. 2021), but
    without simulated restarts: a target that a run never reaches never counts. The logarithmic axis begins at the first
    budget mark, where targets that the untrained network meets are counted.

    Args:
        problems: Runs and targets of each task.
        tracks: Run → its track.
        styles: Trainer → style.
        theme: "light" or "dark".
        x: Title of the axis: STEPS, or BUDGET for several tasks.
    """
    figure = axes(theme, x, "share of (run, target) pairs reached")
    start = min((first for problem in problems if np.isfinite(first := problem.start(tracks))), default=1.0)
    for name in dict.fromkeys(name for problem in problems for name in problem.runs["trainer"]):
        at, share = _ecdf_steps([problem.of_trainer(name) for problem in problems], tracks, start)
        line = {"color": styles[name].colour, "dash": styles[name].dash, "shape": "hv", "width": 2}
        figure.add_scatter(x=at, y=share, name=label(name), mode="lines", line=line)
    figure.update_xaxes(type="log", tickformat="~s" if x == STEPS else "~%", dtick="D2", ticklabeloverflow="allow")
    return figure.update_yaxes(range=[0, 1.02], tickformat=".0%")


def success_rates(cells: Sequence[ResultCell], target: str, styles: Styles, theme: str = "light") -> Figure:
    """Share of runs that reached a target, with Wilson's 95 % interval, by network and trainer.

    Args:
        cells: The cells of a task.
        target: Name of the target.
        styles: Trainer → style.
        theme: "light" or "dark".
    """
    figure = axes(theme, "network", "runs that reached it")
    for name in dict.fromkeys(cell.trainer for cell in cells):
        trainer_cells = [cell for cell in cells if cell.trainer == name]
        rates = [next(r.rate for r in cell.reached if r.target == target) for cell in trainer_cells]
        above, below = [r.high - r.value for r in rates], [r.value - r.low for r in rates]
        figure.add_bar(
            x=[label(cell.network) for cell in trainer_cells], y=[r.value for r in rates], name=label(name),
            marker={"color": styles[name].rgba(0.55), "line": {"color": styles[name].colour, "width": 1.5}},
            error_y={"type": "data", "array": above, "arrayminus": below, "color": GREY, "thickness": 1.2, "width": 3},
        )  # fmt: skip
    figure.update_layout(barmode="group", bargap=0.2, xaxis_type="category")
    return figure.update_yaxes(range=[0, 1.02], tickformat=".0%")


def effect_sizes(contest: PairwiseTests, theme: str = "light") -> Figure:
    """A12 of every pair: probability that the row's loss is lower than the column's; * if the corrected test agrees."""
    names = [label(name) for name in contest.contestants]
    size, marks = np.full((len(names), len(names)), np.nan), np.full((len(names), len(names)), "", object)
    for pair in contest.pairs:
        a, b = contest.contestants.index(pair.a), contest.contestants.index(pair.b)
        star = "" if pair.better is None else " *"
        size[a, b], size[b, a] = pair.a_lower, 1 - pair.a_lower
        marks[a, b], marks[b, a] = f"{size[a, b]:.2f}{star}", f"{size[b, a]:.2f}{star}"
    figure = axes(theme, "… than the column's", "row's test loss is lower …")
    figure.add_heatmap(
        x=names, y=names, z=size - 0.5, zmin=-0.5, zmax=0.5, zmid=0, autocolorscale=True, text=marks,
        texttemplate="%{text}",
        xgap=2, ygap=2, hoverongaps=False, hovertemplate="%{y} lower than %{x}: %{text}<extra></extra>",
        colorbar={"tickvals": [-0.5, -0.25, 0, 0.25, 0.5], "ticktext": ["0", "¼", "½", "¾", "1"], "thickness": 10},
    )  # fmt: skip
    figure.update_xaxes(showgrid=False, type="category")
    return figure.update_yaxes(showgrid=False, type="category", autorange="reversed")


def forecasts(
    forecast: ForecastLines, styles: Styles, baselines: Sequence[Baseline] = (), output: int = 0, theme: str = "light"
) -> Figure:
    """The measured series and the first prediction on the test split; other predictions and baselines show on click.

    Args:
        forecast: Predictions of networks.
        styles: Trainer → style.
        baselines: Baselines with predictions.
        output: Which of the O outputs.
        theme: "light" or "dark".
    """
    chart = forecast.chart
    first, count = chart.series[0] if chart.series else ("", len(chart.times))  # of several series the first is drawn
    measured = f"measured, {first}" if first else "measured"
    times = list(chart.times[:count])
    figure = axes(theme, "time", label(chart.unit) or "value")
    history_times = _history_times(times, chart.history)
    known = np.concatenate([chart.history[len(chart.history) - len(history_times) :], chart.truth[:count, output]])
    figure.add_scatter(
        x=history_times + times, y=known, name=label(measured), mode="lines", line={"color": GREY, "width": 3}
    )
    for k, (name, values) in enumerate(forecast.predictions.items()):
        line = {"width": 1.4, **_style_of(forecast, styles, name, "dash")}
        visible = True if k == 0 else "legendonly"
        lines = {"x": times, "y": values[:count, output], "mode": "lines"}
        figure.add_scatter(**lines, name=label(name), line=line, visible=visible)
    for k, baseline in enumerate(b for b in baselines if b.predictions is not None):
        line = {"width": 1.2, "dash": ("dot", "dash", "dashdot", "longdash")[k % 4], "color": GREY}
        values = np.asarray(baseline.predictions)[:count, output]
        figure.add_scatter(x=times, y=values, name=label(baseline.name), mode="lines", line=line, visible="legendonly")
    return figure


def predicted_true(forecast: ForecastLines, styles: Styles, output: int = 0, theme: str = "light") -> Figure:
    """Predicted against measured values on the test split; exact predictions lie on the diagonal.

    Args:
        forecast: Predictions of networks.
        styles: Trainer → style.
        output: Which of the O outputs.
        theme: "light" or "dark".
    """
    chart, truth = forecast.chart, forecast.chart.truth[:, output]
    unit = f" [{label(chart.unit)}]" if chart.unit else ""
    figure = axes(theme, f"measured{unit}", f"predicted{unit}")
    for k, (name, values) in enumerate(forecast.predictions.items()):
        marker = {"size": 5, "opacity": 0.7, **_style_of(forecast, styles, name, "symbol")}
        visible = True if k == 0 else "legendonly"
        figure.add_scatter(
            x=truth, y=values[:, output], name=label(name), mode="markers", marker=marker, visible=visible
        )
    ends = [float(np.nanmin(truth)), float(np.nanmax(truth))]
    line = {"color": GREY, "dash": "dash"}
    return figure.add_scatter(x=ends, y=ends, mode="lines", line=line, name="exact", hoverinfo="skip")


def _ecdf_steps(problems: Sequence[TaskRuns], tracks: Mapping[int, Track], start: float) -> tuple[Sample, Sample]:
    """Costs at which (run, target) pairs were reached, at least `start` each, and the share reached by then."""
    pair_costs = [(costs(p.runs, tracks, goal), p.unit) for p in problems for goal in p.targets]
    costs_reached = np.concatenate([spent[hit] / unit for (spent, hit), unit in pair_costs] or [np.zeros(0)])
    x, share = statistics.ecdf(np.maximum(costs_reached, start), sum(len(hit) for (_, hit), _ in pair_costs))
    ends = [p.runs["network_steps"].to_numpy(float) / p.unit for p in problems]
    end = np.nanmax(np.concatenate([[start], x[-1:], *ends]))
    return np.append(x, end), np.append(share, share[-1] if len(share) else 0.0)


def _style_of(forecast: ForecastLines, styles: Styles, name: str, mark: str) -> dict[str, str]:
    style = styles.get(forecast.trainers.get(name, ""))
    return {} if style is None else {"color": style.colour, mark: getattr(style, mark)}


def _band(group: DataFrame, tracks: Mapping[int, Track], x: str) -> tuple[Sample, Sample, Sample, Sample]:
    """Grid of x, and on it lower quartile, median and upper quartile over runs; each run is a step function of x."""
    known = [(tracks[row.run], row.state) for row in group.itertuples() if row.run in tracks]
    if not known:
        return np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0)
    ends = [(getattr(track, x)[0], getattr(track, x)[-1]) for track, _ in known]
    at = np.linspace(max(start for start, _ in ends), max(end for _, end in ends), POINTS)
    values = np.stack([_step_values(getattr(track, x), track.champion_valid, at, state) for track, state in known])
    ordered = np.sort(values, axis=0)  # a quartile is one of the runs' own values: nothing to interpolate with infinity
    low, middle, high = (_inf_to_nan(ordered[round(q * (len(ordered) - 1))]) for q in (0.25, 0.5, 0.75))
    return at, low, middle, high


def _step_values(x: Sample, y: Sample, at: Sample, state: str) -> Sample:
    """The last value at or before each point. A finished run keeps its champion; a failed one loses it at its end."""
    values = y[np.maximum(np.searchsorted(x, at, side="right") - 1, 0)]
    return np.where(at > x[-1], np.inf, values) if state == "failed" else values


def _history_times(times: Sequence[str], history: Doubles) -> list[str]:
    """Times of the values before the test split, extrapolated backwards; none if the spacing is irregular."""
    import pandas as pd

    count = min(len(history), max(len(times) // 2, 1))
    if times[0].isdigit():
        return [str(k) for k in range(int(times[0]) - count, int(times[0]))]
    try:
        index = pd.DatetimeIndex(times)
    except ValueError:  # pandas 2 has no dates before 1677
        return []
    months = 12 * (index[1].year - index[0].year) + index[1].month - index[0].month if len(index) > 1 else 0
    for step in (pd.DateOffset(months=months), index[1] - index[0]) if len(index) > 1 else ():
        if (index[:-1] + step).equals(index[1:]):
            return [(index[0] - k * step).isoformat().removesuffix("T00:00:00") for k in range(count, 0, -1)]
    return []


def _loss_axis(figure: Figure, losses: Sample) -> None:
    """Make the axis logarithmic if losses are positive and span more than a factor of three."""
    finite = losses[np.isfinite(losses)]
    if len(finite) and finite.min() > 0 and finite.max() > 3 * finite.min():
        few = finite.max() < 300 * finite.min()  # ticks at 1, 2 and 5
        figure.update_yaxes(type="log", tickformat=".3~g", dtick="D2" if few else None)


def _add_reference(figure: Figure, reference: tuple[str, float] | None) -> Figure:
    if reference is not None and np.isfinite(reference[1]):
        line = {"color": GREY, "dash": "dash", "width": 1.5}
        figure.add_hline(
            y=reference[1], line=line, name=f"baseline: {label(reference[0])}", showlegend=True, layer="below"
        )
    return figure


def _inf_to_nan(values: object) -> Sample:
    """Infinite values as gaps."""
    array = np.asarray(values, np.float64)
    return np.where(np.isfinite(array), array, np.nan)
