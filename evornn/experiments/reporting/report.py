"""The report: one self-contained HTML file. Answers first, then tables and charts, then how to reproduce them.

All text goes through jinja's autoescape, all chart labels through `palette.label`. The page's security policy allows
its two scripts, by their hash, and no requests.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from evornn import files
from evornn.errors import EvornnError
from evornn.experiments.analysis import narrative, targets
from evornn.experiments.analysis.compare import Baselines, finished_runs
from evornn.experiments.analysis.comparison import Comparison, TaskComparison
from evornn.experiments.analysis.forecasts import CAPTION, HEAD, forecast_rows
from evornn.experiments.reporting.charts import ForecastLines
from evornn.experiments.reporting.palette import styles, template
from evornn.experiments.reporting.report_figures import CaptionedFigure, overall_figures, task_figures

if TYPE_CHECKING:
    from pandas import DataFrame

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class TaskSection:
    """The section of a task in the report."""

    comparison: TaskComparison
    pictures: Sequence[CaptionedFigure]
    answers: Sequence[str]


def write_page(path: str | Path, page: str) -> Path:
    """Write a finished page to a file. Raises EvornnError if it can't be written."""
    try:
        files.write(Path(path), page.encode("utf-8", "replace"))
    except OSError as error:
        raise EvornnError(f"can't write the report to {path}: {error.strerror}; choose another file") from None
    return Path(path)


def report(
    comparison: Comparison,
    runs: DataFrame,
    curves: DataFrame,
    baselines: Baselines | None = None,
    forecasts: Mapping[str, ForecastLines] | None = None,
    spec: Mapping[str, Any] | None = None,
    environment: Mapping[str, Any] | None = None,
    database: str = "",
    title: str = "Comparison of trainers",
    question: str = "",
    sources: Mapping[str, str] | None = None,
) -> str:
    """Render the report.

    Args:
        comparison: The comparison.
        runs: Frame of the compared runs.
        curves: Frame of their curves.
        baselines: Task → baselines.
        forecasts: Task → forecasts of the best networks.
        spec: The spec, to print.
        environment: Versions and machine, nested plain data.
        database: URL to print, without its password.
        title: Heading.
        question: A sentence below the heading.
        sources: Task → where its data are from, how they are split and what a network sees.

    Returns:
        The HTML page.
    """
    trainer_styles, baselines = styles(comparison.trainers), baselines or {}
    sections, together = draw_sections(comparison, runs, curves, baselines, forecasts or {})
    return _page(
        comparison=comparison,
        sections=sections,
        several=len(sections) > 1,
        together=together,
        spec=_yaml(spec) if spec else "",
        environment=environment or {},
        database=hide_password(database),
        title=title,
        question=question,
        sources=sources or {},
        colours={name: style.colour for name, style in trainer_styles.items()},
    )


def draw_sections(
    comparison: Comparison,
    runs: DataFrame,
    curves: DataFrame,
    baselines: Baselines,
    forecasts: Mapping[str, ForecastLines],
) -> tuple[list[TaskSection], list[CaptionedFigure]]:
    """The content of a report.

    Args:
        comparison: The comparison.
        runs: Frame of the compared runs.
        curves: Frame of their curves.
        baselines: Task → baselines.
        forecasts: Task → forecasts of the best networks.

    Returns:
        A section per task with its answers and charts, and the charts over all tasks.
    """
    done, _ = finished_runs(runs, comparison.trainers)
    tracks, trainer_styles = targets.tracks(curves), styles(comparison.trainers)
    sections = []
    for k, task in enumerate(comparison.tasks):
        about = (baselines.get(task.task, ()), forecasts.get(task.task), trainer_styles)
        figures = task_figures(f"chart-{k}", task, done[done["task"] == task.task], tracks, *about)
        sections.append(TaskSection(task, figures, narrative.answers(task, comparison.alpha)))
    return sections, overall_figures(comparison, done, tracks, trainer_styles)


def hide_password(url: str) -> str:
    """Mask the password of a database URL."""
    password = urlsplit(url).password
    return url.replace(f":{password}@", ":***@") if password else url


def _page(**fields: Any) -> str:
    pictures = [*fields["together"], *(p for section in fields["sections"] for p in section.pictures)]
    return render_page(
        "report.html",
        pictures,
        **fields,
        experiment_size=narrative.experiment_size(fields["comparison"]),
        ranking_sentences=narrative.describe_ranking(fields["comparison"].ranking, fields["comparison"].alpha),
        describe_target=narrative.describe_target,
        by_result=narrative.by_result,
        tuning=narrative.TUNING,
        forecast_rows=forecast_rows,
        forecast_head=HEAD,
        forecast_caption=CAPTION,
    )


def render_page(name: str, pictures: Sequence[CaptionedFigure], **fields: Any) -> str:
    """A page that needs nothing but itself.

    Args:
        name: Of its template, which extends page.html.
        pictures: All charts of the page.
        fields: What the template names.
    """
    import jinja2
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    library, boot = get_plotlyjs(), (TEMPLATES / "report.js").read_text("utf-8")
    jinja = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined
    )
    filters = ("number", "plural", "settings", "difference")
    jinja.filters.update({name: getattr(narrative, name) for name in filters})
    page: str = jinja.get_template(name).render(
        **fields,
        charts=Markup(_figures(pictures)),
        style=Markup((TEMPLATES / "report.css").read_text("utf-8")),
        library=Markup(library),
        boot=Markup(boot),
        hashes=[_hash(library), _hash(boot)],
    )
    return page


def _figures(shown: Sequence[CaptionedFigure]) -> str:
    """All figures and both templates as JSON, escaped for a script element."""
    figures = {picture.id: json.loads(picture.figure.to_json()) for picture in shown}
    for figure in figures.values():
        figure["layout"].pop("template", None)
    looks = {theme: template(theme).to_plotly_json() for theme in ("light", "dark")}
    text = json.dumps({"figures": figures, "templates": looks}, allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _hash(script: str) -> str:
    return f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'"


def _yaml(spec: Mapping[str, Any]) -> str:
    import yaml

    return str(yaml.safe_dump(dict(spec), sort_keys=False, allow_unicode=True))
