"""Assembles the commands. Each prints tables for people, or with `--json` data for programs."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated

import typer

from evornn.cli import admin, jobs, models, quota, registry, removal, results, run
from evornn.cli.data import data
from evornn.cli.dispatch import dispatch
from evornn.cli.drain import drain
from evornn.cli.fit import fit
from evornn.cli.tune import tune

app = typer.Typer(
    help="Train recurrent neural networks by evolution, gradient descent or both, and find out which is better.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _print_version(requested: bool) -> None:
    if requested:
        print(f"evornn {version('evornn')}")
        raise typer.Exit


@app.callback()
def evornn(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Train recurrent neural networks by evolution, gradient descent or both, and find out which is better."""


COMMANDS: tuple[tuple[str, Callable[..., None]], ...] = (  # in the order of the help
    ("fit", fit),
    ("run", run.run),
    ("resume", run.resume),
    ("tune", tune),
    ("submit", run.submit),
    ("ls", jobs.list_),
    ("show", jobs.show_run),
    ("logs", jobs.logs),
    ("cancel", jobs.cancel),
    ("retry", jobs.retry),
    ("archive", removal.archive),
    ("delete", removal.delete),
    ("compare", results.compare),
    ("query", results.query),
    ("export", results.export),
    ("model", results.model),
    ("predict", models.predict),
    ("evaluate", models.evaluate),
    ("catalog", results.catalog),
    ("data", data),
    ("dispatch", dispatch),
    ("drain", drain),
    ("serve", admin.serve),
    ("doctor", admin.doctor),
)
for name, command in COMMANDS:
    app.command(name)(command)
app.add_typer(registry.models, name="models")
app.add_typer(admin.token, name="token")
app.add_typer(quota.quota, name="quota")
app.add_typer(admin.database, name="db")
