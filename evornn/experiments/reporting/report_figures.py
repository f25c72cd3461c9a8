"""The charts of a report: which, in what order, and their captions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from evornn.experiments.analysis import narrative, targets
from evornn.experiments.analysis.comparison import Comparison, TaskComparison
from evornn.experiments.analysis.targets import TaskRuns, Track
from evornn.experiments.reporting import charts, overall_charts
from evornn.experiments.reporting.charts import ForecastLines, Styles
from evornn.tasks.core.task import Baseline

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure

CaptionTuple: TypeAlias = "tuple[str, Figure, bool]"


@dataclass(frozen=True)
class CaptionedFigure:
    """A chart with its caption, which says how to read it."""

    id: str
    caption: str
    figure: Figure
    wide: bool = False


def task_figures(
    prefix: str,
    task: TaskComparison,
    done: DataFrame,
    tracks: Mapping[int, Track],
    baselines: Sequence[Baseline],
    forecast: ForecastLines | None,
    styles: Styles,
) -> list[CaptionedFigure]:
    """All charts of a task, in reading order.

    Args:
        prefix: Of the charts' ids.
        task: The task's comparison.
        done: Frame of its finished runs.
        tracks: Run → its track.
        baselines: The task's baselines.
        forecast: Predictions of the best networks.
        styles: Trainer → style.
    """
    figures = [
        *_curve_figures(done, tracks, baselines, styles),
        *_final_figures(task, done, tracks, baselines, styles),
        *_effect_figures(task),
    ]
    if forecast is not None and forecast.predictions:
        lines = charts.forecasts(forecast, styles, baselines)
        figures.insert(
            0, ("Forecasts of the test split over the measured series; click a name to see it.", lines, True)
        )
        points = charts.predicted_true(forecast, styles)
        figures.append(("Predicted against measured values of the test split; exact on the diagonal.", points, False))
    return [
        CaptionedFigure(f"{prefix}-{k}", caption, figure, wide) for k, (caption, figure, wide) in enumerate(figures)
    ]


def overall_figures(
    comparison: Comparison, done: DataFrame, tracks: Mapping[int, Track], styles: Styles
) -> list[CaptionedFigure]:
    """Charts over all tasks; none if there is only one.

    Args:
        comparison: The comparison.
        done: Frame of the finished runs.
        tracks: Run → its track.
        styles: Trainer → style.
    """
    if len(comparison.tasks) < 2:
        return []
    problems = _task_runs(comparison, done, tracks)
    figures: list[CaptionTuple] = [
        ("Interquartile mean over all runs of all tasks, with its 95 % interval. Left of the line: better than the "
         "reference.", overall_charts.relative_losses(comparison.overall, comparison.reference, styles), False),
        (f"Runtimes to {targets.RUNGS - 1} validation losses per task, over {narrative.plural(len(problems), 'task')}: "
         "share reached, against the share of the cost of the task's longest run.",
         charts.runtimes(problems, tracks, styles, x=charts.BUDGET), False),
    ]  # fmt: skip
    if comparison.ranking.statistic is not None:
        text = "Mean ranks over tasks, the best on the left. A bar joins trainers that do not differ significantly."
        figures.append((text, overall_charts.critical_differences(comparison.ranking, styles), True))
    return [CaptionedFigure(f"chart-all-{k}", *picture) for k, picture in enumerate(figures)]


def _task_runs(comparison: Comparison, done: DataFrame, tracks: Mapping[int, Track]) -> list[TaskRuns]:
    """The runs of every task with its own ladder of targets. Tasks on which no run has spent a step are left out."""
    runs = [done[done["task"] == task.task] for task in comparison.tasks]
    longest = [float(group["network_steps"].max()) for group in runs]
    return [
        TaskRuns(group, targets.ladder(group, tracks), spent)
        for group, spent in zip(runs, longest, strict=True)
        if spent > 0
    ]


def _curve_figures(
    done: DataFrame, tracks: Mapping[int, Track], baselines: Sequence[Baseline], styles: Styles
) -> list[CaptionTuple]:
    line = _best_baseline(baselines, "valid")
    return [
        (
            f"{network}: learning curves against {what}. Line: median over seeds; band: middle half.",
            charts.learning_curves(group, tracks, styles, x, line),
            False,
        )
        for network, group in done.groupby("network", sort=False)
        for x, what in (("network_steps", "network steps"), ("seconds", "computing time"))
    ]


def _final_figures(
    task: TaskComparison, done: DataFrame, tracks: Mapping[int, Track], baselines: Sequence[Baseline], styles: Styles
) -> list[CaptionTuple]:
    goals = targets.ladder(done, tracks)
    figures: list[CaptionTuple] = [
        ("Test loss of each run: a point is a seed, a box is the middle half.",
         charts.final_losses(done, styles, _best_baseline(baselines, "test")), True),
        (f"Runtimes to {len(goals)} validation losses between the initial and the best one: share reached over time.",
         charts.runtimes([TaskRuns(done, goals)], tracks, styles), False),
    ]  # fmt: skip
    if task.headline is not None:
        text = f"Runs that reached the target ({narrative.describe_target(task)}), with 95 % intervals."
        figures.append((text, charts.success_rates(task.cells, task.headline.name, styles), False))
    return figures


def _effect_figures(task: TaskComparison) -> list[CaptionTuple]:
    text = "{}: probability that the row's test loss is lower than the column's (A12){}."
    return [
        (text.format(contest.name.capitalize() if " " in contest.name else contest.name,
                     "; * is significant after correction" if contest.test else "; too few seeds for a test"),
         charts.effect_sizes(contest), False)
        for contest in task.contests if contest.pairs
    ]  # fmt: skip


def _best_baseline(baselines: Sequence[Baseline], split: str) -> tuple[str, float] | None:
    known = [(b.name, float(getattr(b, split))) for b in baselines if np.isfinite(getattr(b, split))]
    return min(known, key=lambda item: item[1], default=None)
