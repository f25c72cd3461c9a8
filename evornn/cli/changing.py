"""Commands that change what runs: cancel, retry."""

from __future__ import annotations

from typing import Annotated

import typer

from evornn.cli.options import DEFAULT, Json, Server, Store, opened
from evornn.cli.output import show
from evornn.errors import EvornnError

OneJob = Annotated[int | None, typer.Argument(help="Number of the job.", show_default=False)]
OneRun = Annotated[int | None, typer.Option("--run", help="Only this run.")]


def cancel(
    job: OneJob = None, run: OneRun = None, store: Store = DEFAULT, server: Server = None, as_json: Json = False
) -> None:
    """End a job, or one run: what waits at once, what is computed within seconds."""
    job, run = _one(job, run)
    with opened(store, server) as results:
        _say(results.cancel(job, run=run), "cancelled", "nothing to cancel: no run is open", as_json)


def retry(
    job: OneJob = None, run: OneRun = None, store: Store = DEFAULT, server: Server = None, as_json: Json = False
) -> None:
    """Let failed runs start again from nothing, whenever a dispatcher has room."""
    job, run = _one(job, run)
    with opened(store, server) as results:
        _say(results.retry(job, run=run), "to be tried again", "nothing to try again: no run has failed", as_json)


def _one(job: int | None, run: int | None) -> tuple[int | None, int | None]:
    if (job is None) == (run is None):
        raise EvornnError("name a job or, with --run, a run")
    return job, run


def _say(count: int, what: str, nothing: str, as_json: bool) -> None:
    if as_json:
        show({"runs": count}, True)
    else:
        print(f"{count} {'run' if count == 1 else 'runs'} {what}" if count else nothing)
