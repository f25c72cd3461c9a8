"""The command line, put together. Each command takes `--json` for machines and prints tables for people."""

from __future__ import annotations

from collections.abc import Callable

import typer

from evornn.cli import asking, changing, looking, operating, running
from evornn.cli.dispatch import dispatch
from evornn.cli.tuning import tune

app = typer.Typer(
    help="Train recurrent networks by evolution, by gradient and by both, and find out which is better.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
COMMANDS: tuple[tuple[str, Callable[..., None]], ...] = (  # in the order of the help
    ("run", running.run),
    ("resume", running.resume),
    ("tune", tune),
    ("submit", running.submit),
    ("ls", looking.list_),
    ("show", looking.show_run),
    ("logs", looking.logs),
    ("cancel", changing.cancel),
    ("retry", changing.retry),
    ("compare", asking.compare),
    ("query", asking.query),
    ("export", asking.export),
    ("model", asking.model),
    ("catalog", asking.catalog),
    ("dispatch", dispatch),
    ("serve", operating.serve),
    ("doctor", operating.doctor),
)
for name, command in COMMANDS:
    app.command(name)(command)
app.add_typer(operating.token, name="token")
app.add_typer(operating.database, name="db")
