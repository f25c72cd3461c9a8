"""The command line, put together. Each command takes `--json` for machines and prints tables for people."""

from __future__ import annotations

import typer

from evornn.cli import asking, changing, looking, operating, running
from evornn.cli.dispatch import dispatch

app = typer.Typer(
    help="Train recurrent networks by evolution, by gradient and by both, and find out which is better.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for command in (running.run, running.resume, running.submit):
    app.command()(command)
app.command("ls")(looking.list_)
app.command("show")(looking.show_run)
for command in (looking.logs, changing.cancel, changing.retry):
    app.command()(command)
for command in (asking.compare, asking.query, asking.export, asking.model, asking.catalog):
    app.command()(command)
for command in (dispatch, operating.serve, operating.doctor):
    app.command()(command)
app.add_typer(operating.token, name="token")
app.add_typer(operating.database, name="db")
