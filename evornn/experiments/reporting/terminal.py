"""A comparison in the terminal: the answers, then a table per task. Readable at 100 columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from evornn.experiments.analysis import forecasts, narrative
from evornn.experiments.analysis.comparison import Comparison, ResultCell, TaskComparison
from evornn.experiments.analysis.narrative import number
from evornn.experiments.analysis.statistics import Summary

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.table import Table


def render(comparison: Comparison) -> Group:
    """A renderable for `rich.console.Console.print`. Names are plain text, never markup."""
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = [Text(narrative.experiment_size(comparison))]
    for task in comparison.tasks:
        parts += _task(task, comparison.alpha)
    if len(comparison.tasks) > 1:
        parts += [Text(""), _overall_table(comparison)]
    parts += [Text(sentence) for sentence in narrative.describe_ranking(comparison.ranking, comparison.alpha)]
    if comparison.tuned:
        parts += [Text(""), _tuning_table(comparison)]
    return Group(*parts, *(Text(note, style="yellow") for note in comparison.notes))


def _task(task: TaskComparison, alpha: float) -> Iterator[RenderableType]:
    from rich.text import Text

    yield Text(f"\n{task.task}", style="bold")
    answer, *more = narrative.answers(task, alpha)
    yield Text(answer, style="bold")
    yield from map(Text, more)
    yield Text("")
    yield _cell_table(task)
    if rows := forecasts.forecast_rows(task):
        yield _forecast_table(rows)
    for contest in task.contests[:1]:
        yield Text(f"Trainers, {contest.name}: {narrative.describe_tests(contest, alpha)}")


def _cell_table(task: TaskComparison) -> Table:
    target = "" if task.headline is None else f"; success: {narrative.describe_target(task)}"
    score = next((cell.judged for cell in task.cells if cell.judged), None)
    table = _table(f"median [middle half] over seeds{target}{f'; score: {score.name} on test' if score else ''}")
    for name, justify in (("network", "left"), ("trainer", "left"), ("test", "right"), ("validation", "right"),
                          ("success", "right"), ("ERT", "right"), ("s", "right"),
                          *([("score", "right"), ("solved", "right")] if score else [])):  # fmt: skip
        table.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for cell in narrative.by_result(task):
        _add_row(table, cell.network, cell.trainer, _format_summary(cell.test), number(cell.valid.median),
             *_success(task, cell), number(cell.seconds, 3), *(_score(cell) if score else ()))  # fmt: skip
    return table


def _forecast_table(rows: Sequence[forecasts.ForecastRow]) -> Table:
    table = _table(forecasts.CAPTION)
    for k, name in enumerate(forecasts.HEAD):
        table.add_column(name, justify="right" if k else "left", overflow="fold")
    for row in rows:
        _add_row(table, *row.cells)
    return table


def _overall_table(comparison: Comparison) -> Table:
    table = _table(f"all tasks: interquartile mean of {comparison.reference}")
    for name in ("trainer", "family", "mean", "95 % interval", "runs", "failed"):
        table.add_column(name)
    for o in comparison.overall:
        interval = f"{number(o.iqm.low)} to {number(o.iqm.high)}"
        _add_row(table, o.trainer, o.family, number(o.iqm.value), interval, str(o.runs), str(o.failed))
    return table


def _tuning_table(comparison: Comparison) -> Table:
    table = _table("tuning: its cost, on top of the budget of the runs above, and its best settings")
    for name in ("task", "network", "trainer", "trials", "steps", "validation", "best settings"):
        table.add_column(name, overflow="fold")
    for t in comparison.tuned:
        trials = f"{t.trials} ({t.failed} failed)" if t.failed else str(t.trials)
        spent, settings = number(t.network_steps, 3), narrative.settings(t)
        _add_row(table, t.task, t.network, t.trainer, trials, spent, number(t.valid), settings)
    return table


def _success(task: TaskComparison, cell: ResultCell) -> tuple[str, str]:
    reach = next((r for r in cell.reached if task.headline is not None and r.target == task.headline.name), None)
    failed = f" ({cell.failed} failed)" if cell.failed else ""
    if reach is None:
        return f"–{failed}", "–"
    return f"{reach.successes}/{cell.runs}{failed}", number(reach.ert.value, 3) if reach.successes else "never"


def _score(cell: ResultCell) -> tuple[str, str]:
    if cell.judged is None:
        return "–", "–"
    solved = cell.judged.solved
    return number(cell.judged.score.median, 3), "–" if solved is None else f"{solved}/{cell.runs}"


def _format_summary(spread: Summary) -> str:
    if spread.bad == spread.count:
        return "failed"
    return f"{number(spread.median)} [{number(spread.q25, 3)}, {number(spread.q75, 3)}]"


def _table(title: str) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    return Table(box=box.SIMPLE_HEAD, title=Text(title, style="dim"), title_justify="left", pad_edge=False)


def _add_row(table: Table, *cells: str) -> None:
    from rich.text import Text

    table.add_row(*(Text(cell) for cell in cells))
