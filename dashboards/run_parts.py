"""Parts of a run's page."""

from __future__ import annotations

import dash_mantine_components as dmc
import yaml
from dash import dcc, html
from dash.development.base_component import Component

from evornn.dashboards import run_model
from evornn.dashboards.components import (
    badge,
    chart,
    duration,
    empty_state,
    facts,
    heading,
    progress_share,
    time_left,
    timestamp,
)
from evornn.dashboards.page_context import PageContext
from evornn.experiments.analysis.narrative import number, plural
from evornn.experiments.reporting import run_charts
from evornn.store.records import StoredRun
from evornn.tasks.core.forecast_errors import LABELS

X = [{"value": "network_steps", "label": "steps"}, {"value": "updates", "label": "updates"},
     {"value": "seconds", "label": "seconds"}]  # fmt: skip
ACTIONS = {"cancel": ("queued", "running"), "resume": ("failed", "cancelled"), "retry": ("failed",)}


def top(context: PageContext, run: StoredRun) -> list[Component]:
    """Title, state, progress and losses."""
    rest = f", about {time_left(run)} left" if time_left(run) else ""
    words = f"mark {run.mark or 0} of {run.budget.get('marks', 100)}{rest}"
    who = f"{run.experiment} · {run.task} · {run.network} · {run.trainer} · seed {run.seed}"
    return [
        heading(f"Run {run.id}", badge(run.state)),
        html.P([who, " · ", dcc.Link(f"job {run.job}", href=context.link("", job=run.job))], className="muted"),
        html.Div(
            [html.Span(className="bar long", style={"--share": round(progress_share(run), 3)}), html.Span(words)],
            className="share",
        ),
        *([html.P(run.error, className="problem")] if run.error else []),
        facts(
            {
                "validation loss": run.champion_valid and number(run.champion_valid),
                "test loss": run.test_loss and number(run.test_loss),
                run.score or "score": run.test_score and number(run.test_score),
                **_errors(run),
                "network steps": run.network_steps and f"{run.network_steps:,}",
                "computing time": run.seconds and duration(run.seconds),
                "parameters": run.parameters and f"{run.parameters:,}",
            },
            across=True,
        ),
    ]


def _errors(run: StoredRun) -> dict[str, str]:
    """Errors of the forecasts on the test split, in original units; by target where there are several."""
    by_target = run.forecast_errors or {}
    return {
        label if len(by_target) == 1 else f"{label} of {target}": number(errors[name])
        for target, errors in by_target.items()
        for name, label in LABELS.items()
    }


def actions(context: PageContext, run: StoredRun) -> Component:
    """Buttons and links of a run. Only users who may press the buttons see them."""
    shown = {} if context.caller.has_scope("submit") else {"display": "none"}
    buttons = [
        dmc.Button(
            name.capitalize(), id=f"run-{name}", variant="default", disabled=run.state not in states, style=shown
        )
        for name, states in ACTIONS.items()
    ]
    job = dcc.Link("Compare its job", href=context.link("compare", job=run.job))
    return html.Div([*buttons, job, run_model.row(context, run)], className="row middle")


def curve_panel(context: PageContext) -> Component:
    """The learning curve, and the choice of its axes."""
    return html.Div(
        [
            html.Div(
                [
                    dmc.SegmentedControl(id="run-x", data=X, value="network_steps"),
                    dmc.Checkbox(id="run-log-x", label="logarithmic x"),
                    dmc.Checkbox(id="run-log-y", label="logarithmic loss", checked=True),
                ],
                className="row middle",
            ),
            chart(run_charts.run_curve([], theme=context.theme), context.theme, "Learning curve", id="run-curve"),
        ]
    )


def about(context: PageContext, run: StoredRun) -> Component:
    """The spec of a run, and the machine that computed it."""
    machine = context.store.result(run.id).environment if run.state == "succeeded" else {}
    spec = {name: value for name, value in run.fragments.items() if value is not None}
    spec |= {"seed": run.seed, "budget": run.budget}
    return html.Div(
        [
            html.Div([html.H2("Spec"), html.Pre(yaml.safe_dump(spec, sort_keys=False, allow_unicode=True))]),
            html.Div(
                [
                    html.H2("Machine and versions"),
                    html.Pre(yaml.safe_dump(machine, sort_keys=False))
                    if machine
                    else empty_state("Known once the run has succeeded."),
                    facts(
                        {"created": timestamp(run.created), "started": timestamp(run.started),
                         "finished": timestamp(run.finished),
                         "claimed": plural(run.lease, "time"), "by": run.lease_owner,
                         "failures": run.failures}
                    ),
                ]
            ),
        ],
        className="columns",
    )  # fmt: skip
