"""Charts of a comparison and of a network as JSON: the report's figures for other pages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evornn.experiments.analysis import narrative
from evornn.experiments.analysis.comparison import Comparison, TaskComparison
from evornn.experiments.reporting.report import draw_sections
from evornn.experiments.reporting.report_table import ReportTable
from evornn.service.reading.comparison_data import ComparisonData, resolve_job, unique_run_ids
from evornn.service.reading.design import design_of
from evornn.service.reading.evaluation import evaluation_of
from evornn.store.records import JobId, RunId
from evornn.store.store import Store

if TYPE_CHECKING:
    from evornn.experiments.reporting.report_figures import CaptionedFigure
    from evornn.models.report import ModelReport
    from evornn.models.saved_model import SavedModel
    from evornn.models.text_report import TextReport
    from evornn.training.champion import CurrentChampion


@dataclass(frozen=True)
class FigureJson:
    """A chart. The page adds the template (`palette.template`), light or dark."""

    caption: str
    figure: str  # plotly's JSON, without a template
    wide: bool = False


@dataclass(frozen=True)
class TaskFigures:
    """A task of a comparison: its results in words, and its charts."""

    comparison: TaskComparison
    answers: tuple[str, ...]
    figures: tuple[FigureJson, ...]


@dataclass(frozen=True)
class ComparisonFigures:
    """A comparison with all its charts."""

    title: str
    comparison: Comparison
    answers: tuple[str, ...]
    overall: tuple[FigureJson, ...]
    tasks: tuple[TaskFigures, ...]


@dataclass(frozen=True)
class NetworkFigures:
    """All charts of a run's champion, and the mark at which it became the champion."""

    figures: tuple[FigureJson, ...]
    mark: int
    updates: int  # generations or gradient steps
    champion_valid: float


@dataclass(frozen=True)
class SectionFigures:
    """A part of the report of a model."""

    title: str
    figures: tuple[FigureJson, ...]
    tables: tuple[ReportTable, ...]
    note: str


@dataclass(frozen=True)
class ReportFigures:
    """The report of a model, as `model_content.ModelContent`, with its charts."""

    about: str
    answers: tuple[str, ...]
    sections: tuple[SectionFigures, ...]


def draw_report(model: SavedModel, report: ModelReport | TextReport) -> ReportFigures:
    """What the page of `evornn evaluate --report` shows."""
    from evornn.experiments.reporting.model_page import model_content

    content = model_content(model, report)
    return ReportFigures(
        content.about,
        tuple(content.answers),
        tuple(
            SectionFigures(part.title, _to_json(part.pictures), tuple(part.tables), part.note)
            for part in content.sections
        ),
    )


def draw_comparison(store: Store, job: JobId | None, runs: Sequence[RunId]) -> ComparisonFigures:
    """Compare runs and draw the charts of the report.

    Args:
        store: Where the runs are.
        job: Compare the runs of this job; default: the newest one.
        runs: Compare these runs instead, of any jobs.

    Returns:
        The comparison with its figures.

    Raises:
        NotFound: There is no such job or run.
        EvornnError: There is nothing to compare yet.
    """
    data = (
        ComparisonData(store, run_ids=unique_run_ids(runs)) if runs else ComparisonData(store, resolve_job(store, job))
    )
    comparison, forecasts = data.comparison, data.forecasts()
    sections, overall = draw_sections(comparison, data.run_frame, data.curve_frame, data.baselines, forecasts)
    if data.job is None:
        title = f"{narrative.plural(len(data.runs), 'run')} of {_experiments(data)}"
    else:
        title = f"{store.job(data.job).experiment} (job {data.job})"
    return ComparisonFigures(
        title,
        comparison,
        (
            narrative.experiment_size(comparison),
            *narrative.describe_ranking(comparison.ranking, comparison.alpha),
            *comparison.notes,
        ),
        _to_json(overall),
        tuple(TaskFigures(s.comparison, tuple(s.answers), _to_json(s.pictures)) for s in sections),
    )


def draw_network(store: Store, run: RunId) -> NetworkFigures | None:
    """Draw the champion of a run so far; None before its first budget mark with a finite validation loss. Raises
    NotFound."""
    from evornn.experiments.reporting.network_charts import network_figures
    from evornn.experiments.reporting.network_summary import summarise_network

    champion = _champion(store, run)
    if champion is None or not math.isfinite(champion.champion_valid):  # infinite: still the untrained network
        return None
    record = store.run(run)
    data = evaluation_of(store, record)
    summary = summarise_network(
        design_of(record, data).build(),
        data,
        champion.genome,
        f"{record.network}, {record.trainer}, seed {record.seed}",
    )
    pictures = tuple(_figure_json(caption, figure) for caption, figure in network_figures(summary, data.baselines))
    return NetworkFigures(pictures, champion.mark, champion.updates, champion.champion_valid)


def _champion(store: Store, run: RunId) -> CurrentChampion | None:
    """The champion in the checkpoint, else in the result. In this order: a run that ends in between has its result by
    then."""
    from evornn.training.champion import CurrentChampion, load_champion

    checkpoint = store.checkpoint(run)
    if checkpoint is not None:
        return load_champion(checkpoint)
    record = store.run(run)
    if record.state != "succeeded":
        return None
    result = store.result(run)
    return CurrentChampion(result.genome, result.valid_loss, record.mark or 0, result.updates)


def _experiments(data: ComparisonData) -> str:
    return narrative.join_names(dict.fromkeys(run.experiment for run in data.runs))


def _to_json(pictures: Sequence[CaptionedFigure]) -> tuple[FigureJson, ...]:
    return tuple(_figure_json(picture.caption, picture.figure, picture.wide) for picture in pictures)


def _figure_json(caption: str, figure: Any, wide: bool = False) -> FigureJson:
    figure.layout.template = None
    return FigureJson(caption, figure.to_json(), wide)
