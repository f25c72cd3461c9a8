"""The report: one HTML file that needs nothing else. Answers first, then tables, charts, and how to get them again.

All text goes through jinja's autoescape, all chart labels through `palette.label`. The page's own policy allows the two
scripts in it, by their hash, and no request at all.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from evornn.errors import EvornnError
from evornn.experiments import charts, conclusions, targets
from evornn.experiments.charts import Forecast, Styles
from evornn.experiments.compare import Baselines, finished
from evornn.experiments.comparison import Comparison, TaskComparison
from evornn.experiments.palette import styles, template
from evornn.experiments.targets import Track
from evornn.tasks.task import Baseline

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Picture:
    """A chart with the sentence that says how to read it."""

    id: str
    caption: str
    figure: Figure
    wide: bool = False


@dataclass(frozen=True)
class Section:
    """A task in the report."""

    found: TaskComparison
    baselines: Sequence[Baseline]
    pictures: Sequence[Picture]
    answers: Sequence[str] = field(default_factory=list)


def write_report(path: str | Path, comparison: Comparison, runs: DataFrame, curves: DataFrame, **about: Any) -> Path:
    """Write `report(…)` to a file; raises EvornnError when the place can't be written to."""
    page = report(comparison, runs, curves, **about)
    try:
        Path(path).write_text(page, encoding="utf-8")
    except OSError as error:
        raise EvornnError(f"can't write the report to {path}: {error.strerror}; choose another place") from None
    return Path(path)


def report(
    comparison: Comparison,
    runs: DataFrame,
    curves: DataFrame,
    baselines: Baselines | None = None,
    forecasts: Mapping[str, Forecast] | None = None,
    spec: Mapping[str, Any] | None = None,
    environment: Mapping[str, Any] | None = None,
    database: str = "",
    title: str = "Comparison of trainers",
    question: str = "",
) -> str:
    """The page. `runs`, `curves` and `baselines` are those that were compared; `forecasts` are by task.

    `environment` is nested plain data (versions, machine); of a database URL the password is not shown.
    """
    done, _ = finished(runs, comparison.trainers)
    tracks, baselines, forecasts = targets.tracks(curves), baselines or {}, forecasts or {}
    look = styles(comparison.trainers)
    sections = [
        _section(
            k,
            task,
            done[done["task"] == task.task],
            tracks,
            baselines.get(task.task, ()),
            forecasts.get(task.task),
            look,
        )
        for k, task in enumerate(comparison.tasks)
    ]
    return _page(
        comparison=comparison,
        sections=[_answered(section, comparison.alpha) for section in sections],
        spec=_yaml(spec) if spec else "",
        environment=environment or {},
        database=without_password(database),
        title=title,
        question=question,
        colours={name: style.colour for name, style in look.items()},
    )


def without_password(url: str) -> str:
    """A database URL that may be shown."""
    password = urlsplit(url).password
    return url.replace(f":{password}@", ":***@") if password else url


def pictures(
    prefix: str,
    task: TaskComparison,
    done: DataFrame,
    tracks: Mapping[int, Track],
    baselines: Sequence[Baseline],
    forecast: Forecast | None,
    look: Styles,
) -> list[Picture]:
    """All charts of a task, in reading order."""
    found = [
        *_curves(task, done, tracks, baselines, look),
        *_ends(task, done, tracks, baselines, look),
        *_effects(task),
    ]
    if forecast is not None and forecast.predictions:
        lines = charts.forecasts(forecast, look, baselines)
        found = [
            ("Forecasts of the test split over the measured series. Click a baseline's name to see it.", lines, True),
            ("Predicted against measured; exact on the diagonal.", charts.predicted_true(forecast, look), False),
            *found,
        ]
    return [Picture(f"{prefix}-{k}", caption, figure, wide) for k, (caption, figure, wide) in enumerate(found)]


Captioned = tuple[str, "Figure", bool]


def _curves(
    task: TaskComparison, done: DataFrame, tracks: Mapping[int, Track], baselines: Sequence[Baseline], look: Styles
) -> list[Captioned]:
    line = _best(baselines, "valid")
    return [
        (
            f"{network}: learning curves against {what}. Line: median over seeds; band: middle half.",
            charts.learning_curves(group, tracks, look, x, line),
            False,
        )
        for network, group in done.groupby("network", sort=False)
        for x, what in (("network_steps", "network steps"), ("seconds", "computing time"))
    ]


def _ends(
    task: TaskComparison, done: DataFrame, tracks: Mapping[int, Track], baselines: Sequence[Baseline], look: Styles
) -> list[Captioned]:
    goals = targets.ladder(done, tracks)
    found: list[Captioned] = [
        ("Test loss of each run: a point is a seed, a box the middle half.",
         charts.final_losses(done, look, _best(baselines, "test")), True),
        (f"Runtimes to {len(goals)} validation losses, from where runs start to the best end: the share reached in time.",
         charts.runtimes(done, tracks, goals, look), False),
    ]  # fmt: skip
    if task.headline is not None:
        text = f"Runs that reached the target ({conclusions.described(task)}), with 95 % intervals."
        found.append((text, charts.success_rates(task.cells, task.headline.name, look), False))
    return found


def _effects(task: TaskComparison) -> list[Captioned]:
    text = "{}: probability that the row's test loss is lower than the column's (A12){}."
    return [
        (text.format(contest.name.capitalize() if " " in contest.name else contest.name,
                     "; * is significant after correction" if contest.test else "; too few seeds for a test"),
         charts.effect_sizes(contest), False)
        for contest in task.contests if contest.pairs
    ]  # fmt: skip


def _section(
    k: int,
    task: TaskComparison,
    done: DataFrame,
    tracks: Mapping[int, Track],
    baselines: Sequence[Baseline],
    forecast: Forecast | None,
    look: Styles,
) -> Section:
    return Section(task, baselines, pictures(f"chart-{k}", task, done, tracks, baselines, forecast, look))


def _answered(section: Section, alpha: float) -> Section:
    task = section.found
    said = [conclusions.choice(task), conclusions.against_baselines(task), *conclusions.families(task, alpha)]
    return Section(task, section.baselines, section.pictures, said)


def _best(baselines: Sequence[Baseline], split: str) -> tuple[str, float] | None:
    best = min(baselines, key=lambda b: float(getattr(b, split)), default=None)
    return None if best is None else (best.name, float(getattr(best, split)))


def _page(**fields: Any) -> str:
    import jinja2
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    library, boot = get_plotlyjs(), (TEMPLATES / "report.js").read_text("utf-8")
    jinja = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined
    )
    jinja.filters.update(number=conclusions.number, plural=conclusions.plural)
    return jinja.get_template("report.html").render(
        **fields,
        asked=conclusions.asked(fields["comparison"]),
        described=conclusions.described,
        charts=Markup(_figures([p for section in fields["sections"] for p in section.pictures])),
        style=Markup((TEMPLATES / "report.css").read_text("utf-8")),
        library=Markup(library),
        boot=Markup(boot),
        hashes=[_hash(library), _hash(boot)],
    )


def _figures(pictures: Sequence[Picture]) -> str:
    """All figures and both looks as JSON that can stand inside a script element."""
    drawn = {picture.id: json.loads(picture.figure.to_json()) for picture in pictures}
    for figure in drawn.values():
        figure["layout"].pop("template", None)
    looks = {theme: template(theme).to_plotly_json() for theme in ("light", "dark")}
    text = json.dumps({"figures": drawn, "templates": looks}, allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _hash(script: str) -> str:
    return f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'"


def _yaml(spec: Mapping[str, Any]) -> str:
    import yaml

    return yaml.safe_dump(dict(spec), sort_keys=False, allow_unicode=True)
