"""Compare: the report's content for a job, or for chosen runs of any jobs. The address names them, for bookmarks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, dcc, html
from dash.development.base_component import Component

from evornn.dashboards.components import drawings, duration, empty_state, heading, loading_message, select, table
from evornn.dashboards.page_context import DashboardPage, PageContext, parse_id, parse_ids, parse_query
from evornn.errors import EvornnError
from evornn.experiments.analysis import forecasts
from evornn.experiments.analysis.comparison import Comparison, PairwiseTests, ResultCell, TaskComparison
from evornn.experiments.analysis.narrative import TUNING, by_result, number, settings
from evornn.experiments.analysis.statistics import Summary
from evornn.service.reading.figures import ComparisonFigures

JOBS = 100  # the newest ones, to choose from


def layout(context: PageContext, rest: str, query: Mapping[str, str]) -> Component:
    """The page: a choice of job or runs, and then the comparison."""
    jobs = context.store.jobs(limit=JOBS)
    if not jobs:
        submit = dcc.Link("Submit the first experiment", href=context.link("submit"))
        return html.Section([heading("Compare"), empty_state("There is nothing to compare yet.", submit)])
    runs = parse_ids(query.get("runs", ""))
    chosen = None if runs else parse_id(query.get("job", "")) or jobs[0].id
    options = [{"value": str(job.id), "label": f"{job.id}: {job.experiment} ({job.state})"} for job in jobs]
    return html.Section(
        [
            heading("Compare"),
            html.Div(
                [
                    select("Job", options, id="compare-job", value=None if chosen is None else str(chosen), w=320),
                    dmc.TextInput(
                        id="compare-runs", label="or runs by number", placeholder="1, 2, 3",
                        value=", ".join(map(str, runs)), w=260,
                    ),
                    dmc.Button("Compare", id="compare-go"),
                ],
                className="row",
            ),
            html.Div(loading_message(), id="compare-found"),
        ]
    )  # fmt: skip


def install(app: Dash, context: PageContext) -> None:
    """Register the callbacks of the page."""

    @app.callback(
        Output("url", "search", allow_duplicate=True),
        Input("compare-go", "n_clicks"),
        State("compare-job", "value"),
        State("compare-runs", "value"),
        prevent_initial_call=True,
    )
    def set_address(clicks: int | None, job: str | None, runs: str) -> Any:
        chosen = parse_ids(runs or "")
        return f"?runs={','.join(map(str, chosen))}" if chosen else f"?job={job}"

    @app.callback(Output("compare-found", "children"), Input("compare-job", "id"), State("url", "search"))
    def show(_: str, search: str | None) -> Component:
        query = parse_query(search)
        try:
            result = context.caller_service.draw_comparison(
                parse_id(query.get("job", "")), parse_ids(query.get("runs", ""))
            )
        except EvornnError as error:
            return empty_state(str(error))
        return html.Div(comparison(context, result, parse_id(query.get("job", ""))))


def comparison(context: PageContext, drawn: ComparisonFigures, job: int | None) -> list[Component]:
    """The answers first, then tables and charts, as in the report.

    Args:
        context: The page's context.
        drawn: The comparison with its figures.
        job: The compared job, if it is one.
    """
    report = [html.A("Download the report", href=context.link(f"report/{job}"))] if job else []
    parts: list[Component] = [
        html.H2(drawn.title), html.Ul([html.Li(line) for line in drawn.answers], className="answers"), *report,
    ]  # fmt: skip
    if drawn.overall:
        parts += [html.H2("All tasks"), overall(drawn.comparison), drawings(drawn.overall, context.theme)]
    for task in drawn.tasks:
        parts += [
            html.H2(task.comparison.task),
            html.Ul([html.Li(line) for line in task.answers], className="answers"),
            cells(task.comparison),
            *forecast_table(task.comparison),
            *(pairs(contest) for contest in task.comparison.contests if contest.pairs),
            drawings(task.figures, context.theme),
        ]
    return [*parts, tuning(drawn.comparison)] if drawn.comparison.tuned else parts


def cells(task: TaskComparison) -> Component:
    """A row per network and trainer."""
    judged = next((cell.judged for cell in task.cells if cell.judged), None)
    head = ("network", "trainer", "family", "test loss", "validation loss", "reached target", "expected network steps",
            "computing time", "parameters", *((judged.name,) if judged else ()))  # fmt: skip
    target = f" Target: {task.headline.name}." if task.headline else ""
    caption = f"Median [middle half] over {task.seeds} seeds.{target}"
    return table(head, [_cell(task, cell, bool(judged)) for cell in by_result(task)], caption)


def forecast_table(task: TaskComparison) -> list[Component]:
    """Errors of forecasts in original units; nothing for other tasks."""
    rows = forecasts.forecast_rows(task)
    return [table(forecasts.HEAD, [row.cells for row in rows], forecasts.CAPTION)] if rows else []


def pairs(contest: PairwiseTests) -> Component:
    """The corrected tests of all pairs of trainers."""
    rows = [
        (pair.a, pair.b, number(pair.a_lower, 2), number(pair.p, 2), number(pair.corrected, 2), pair.better or "–")
        for pair in contest.pairs
    ]
    test = f"{contest.test}, Holm's correction" if contest.test else contest.note
    head = ("A", "B", "A lower than B (A12)", "p", "corrected p", "better")
    return table(head, rows, f"Trainers, {contest.name}: {test}")


def overall(comparison: Comparison) -> Component:
    """A row per trainer, over all tasks."""
    rows = [
        (o.trainer, o.family, number(o.iqm.value), f"{number(o.iqm.low)} to {number(o.iqm.high)}", o.runs, o.failed)
        for o in comparison.overall
    ]
    head = ("trainer", "family", "interquartile mean", "95 % interval", "runs", "failed")
    return table(head, rows, f"All tasks: {comparison.reference}")


def tuning(comparison: Comparison) -> Component:
    """Cost and best settings of tuning each method."""
    rows = [
        (
            t.task, t.network, t.trainer, f"{t.trials} ({t.failed} failed)" if t.failed else t.trials, t.runs,
            number(t.network_steps, 3), t.best, number(t.valid), settings(t),
        )
        for t in comparison.tuned
    ]  # fmt: skip
    head = (
        "task",
        "network",
        "trainer",
        "trials",
        "runs",
        "network steps",
        "best trial",
        "its validation loss",
        "its settings",
    )
    shown = table(head, rows, "Cost and best trial of tuning each method")
    return html.Section([html.H2("Tuning"), html.P(TUNING), shown], id="compare-tuning")


def _cell(task: TaskComparison, cell: ResultCell, judged: bool) -> Sequence[Any]:
    reach = next((r for r in cell.reached if task.headline is not None and r.target == task.headline.name), None)
    failed = f" ({cell.failed} failed)" if cell.failed else ""
    return (
        cell.network, cell.trainer, cell.family, _summary(cell.test), number(cell.valid.median),
        f"{reach.successes} of {cell.runs}{failed}" if reach else f"–{failed}",
        ("never" if not reach.successes else number(reach.ert.value, 3)) if reach else "–",
        duration(cell.seconds), f"{cell.parameters:,}",
        *((_summary(cell.judged.score) if cell.judged else "–",) if judged else ()),
    )  # fmt: skip


def _summary(summary: Summary) -> str:
    return f"{number(summary.median)} [{number(summary.q25, 3)}, {number(summary.q75, 3)}]"


PAGE = DashboardPage("Compare", "compare", layout, install)
