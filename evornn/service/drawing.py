"""Charts of a comparison and of a network, as JSON: the figures of the report for whoever shows them in a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evornn.experiments import conclusions
from evornn.experiments.comparison import Comparison, TaskComparison
from evornn.experiments.report import drawn
from evornn.service.comparing import Comparing, chosen_job, few
from evornn.service.model import design_of
from evornn.store.records import JobId, RunId
from evornn.store.store import Store

if TYPE_CHECKING:
    from evornn.experiments.pictures import Picture


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


def drawn_comparison(store: Store, job: JobId | None, runs: Sequence[RunId]) -> DrawnComparison:
    """The comparison of these runs, else of the job's, else of the newest job's. Raises NotFound, EvornnError."""
    comparing = Comparing(store, chosen=few(runs)) if runs else Comparing(store, chosen_job(store, job))
    found, forecasts = comparing.comparison, comparing.forecasts()
    sections, together = drawn(found, comparing.run_frame, comparing.curve_frame, comparing.baselines, forecasts)
    if comparing.job is None:
        title = f"{conclusions.plural(len(comparing.runs), 'run')} of {_experiments(comparing)}"
    else:
        title = f"{store.job(comparing.job).experiment} (job {comparing.job})"
    return DrawnComparison(
        title,
        found,
        (conclusions.asked(found), *conclusions.ranked(found.ranking, found.alpha), *found.notes),
        _drawings(together),
        tuple(DrawnTask(s.found, tuple(s.answers), _drawings(s.pictures)) for s in sections),
    )


def drawn_network(store: Store, run: RunId) -> list[Drawing]:
    """The charts of a finished run's network. Raises NotFound while the run has no champion."""
    from evornn.experiments.network_charts import network_pictures
    from evornn.experiments.portrait import portrait

    record, genome = store.run(run), store.champion(run)
    design, data = design_of(record)
    seen = portrait(design.build(), data, genome, f"{record.network}, {record.trainer}, seed {record.seed}")
    return [_drawing(caption, figure) for caption, figure in network_pictures(seen, data.baselines)]


def _experiments(comparing: Comparing) -> str:
    return conclusions.listed(dict.fromkeys(run.experiment for run in comparing.runs))


def _drawings(pictures: Sequence[Picture]) -> tuple[Drawing, ...]:
    return tuple(_drawing(picture.caption, picture.figure, picture.wide) for picture in pictures)


def _drawing(caption: str, figure: Any, wide: bool = False) -> Drawing:
    figure.layout.template = None
    return Drawing(caption, figure.to_json(), wide)
