"""Charts of a comparison and of a network, as JSON: the figures of the report for whoever shows them in a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evornn.experiments.analysis import narrative
from evornn.experiments.analysis.comparison import Comparison, TaskComparison
from evornn.experiments.reporting.report import drawn
from evornn.service.reading.comparison_data import Comparing, chosen_job, few
from evornn.service.reading.saved_network import design_of
from evornn.store.records import JobId, RunId
from evornn.store.store import Store

if TYPE_CHECKING:
    from evornn.experiments.reporting.report_figures import Picture
    from evornn.training.champion import SoFar


@dataclass(frozen=True)
class Drawing:
    """A chart. Its look (`palette.template`) is left to the page, which may be light or dark."""

    caption: str
    figure: str  # plotly's JSON, without a template
    wide: bool = False


@dataclass(frozen=True)
class DrawnTask:
    """A task of a comparison: what was found, in words, and its charts."""

    found: TaskComparison
    answers: tuple[str, ...]
    drawings: tuple[Drawing, ...]


@dataclass(frozen=True)
class DrawnComparison:
    """A comparison with all its charts."""

    title: str
    comparison: Comparison
    answers: tuple[str, ...]
    together: tuple[Drawing, ...]
    tasks: tuple[DrawnTask, ...]


@dataclass(frozen=True)
class DrawnNetwork:
    """A run's champion with all its charts, and when in the run's life it was the champion."""

    drawings: tuple[Drawing, ...]
    mark: int
    updates: int  # generations or gradient steps
    champion_valid: float


def drawn_comparison(store: Store, job: JobId | None, runs: Sequence[RunId]) -> DrawnComparison:
    """The comparison of these runs, else of the job's, else of the newest job's. Raises NotFound, EvornnError."""
    comparing = Comparing(store, chosen=few(runs)) if runs else Comparing(store, chosen_job(store, job))
    found, forecasts = comparing.comparison, comparing.forecasts()
    sections, together = drawn(found, comparing.run_frame, comparing.curve_frame, comparing.baselines, forecasts)
    if comparing.job is None:
        title = f"{narrative.plural(len(comparing.runs), 'run')} of {_experiments(comparing)}"
    else:
        title = f"{store.job(comparing.job).experiment} (job {comparing.job})"
    return DrawnComparison(
        title,
        found,
        (narrative.asked(found), *narrative.ranked(found.ranking, found.alpha), *found.notes),
        _drawings(together),
        tuple(DrawnTask(s.found, tuple(s.answers), _drawings(s.pictures)) for s in sections),
    )


def drawn_network(store: Store, run: RunId) -> DrawnNetwork | None:
    """The best network that a run has found so far; None while it has come to no budget mark. Raises NotFound."""
    from evornn.experiments.reporting.network_charts import network_pictures
    from evornn.experiments.reporting.network_summary import portrait

    found = _champion(store, run)
    if found is None:
        return None
    record = store.run(run)
    design, data = design_of(record)
    seen = portrait(design.build(), data, found.genome, f"{record.network}, {record.trainer}, seed {record.seed}")
    pictures = tuple(_drawing(caption, figure) for caption, figure in network_pictures(seen, data.baselines))
    return DrawnNetwork(pictures, found.mark, found.updates, found.champion_valid)


def _champion(store: Store, run: RunId) -> SoFar | None:
    """Of the checkpoint, else of the result. In this order: a run that ends in between has its result by then."""
    from evornn.training.champion import SoFar, so_far

    checkpoint = store.checkpoint(run)
    if checkpoint is not None:
        return so_far(checkpoint)
    record = store.run(run)
    if record.state != "succeeded":
        return None
    result = store.result(run)
    return SoFar(result.genome, result.valid_loss, record.mark or 0, result.updates)


def _experiments(comparing: Comparing) -> str:
    return narrative.listed(dict.fromkeys(run.experiment for run in comparing.runs))


def _drawings(pictures: Sequence[Picture]) -> tuple[Drawing, ...]:
    return tuple(_drawing(picture.caption, picture.figure, picture.wide) for picture in pictures)


def _drawing(caption: str, figure: Any, wide: bool = False) -> Drawing:
    figure.layout.template = None
    return Drawing(caption, figure.to_json(), wide)
