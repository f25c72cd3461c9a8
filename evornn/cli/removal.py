"""`evornn delete` and `evornn archive`: jobs that are no longer needed."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from evornn.cli.options import DEFAULT, Json, Server, Store, open_results, parse_duration
from evornn.cli.output import show
from evornn.errors import EvornnError

if TYPE_CHECKING:
    from evornn.service.reading.results import Results
    from evornn.store.records import StoredJob

Jobs = Annotated[list[int] | None, typer.Argument(help="Numbers of jobs.", show_default=False)]
Older = Annotated[str | None, typer.Option(help="All jobs that finished so long ago, for example 90d.")]
Owner = Annotated[str | None, typer.Option(help="Only jobs of this user.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]


def delete(
    jobs: Jobs = None,
    older: Older = None,
    owner: Owner = None,
    archived: Annotated[bool, typer.Option("--archived", help="Only archived jobs.")] = False,
    yes: Yes = False,
    store: Store = DEFAULT,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Delete jobs that have ended, with their runs, curves, models and events, for ever."""
    with open_results(store, server) as results:
        chosen = _choose(results, jobs, older, owner, (True,) if archived else (False, True))
        _confirm("delete", chosen, yes)
        count = _each(chosen, lambda job: results.store.delete(job.id))
    _report("deleted", count, as_json)


def archive(
    jobs: Jobs = None,
    older: Older = None,
    owner: Owner = None,
    restore: Annotated[bool, typer.Option("--restore", help="Put them back into the lists.")] = False,
    store: Store = DEFAULT,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Take jobs that have ended out of the lists; nothing is lost. `evornn ls --archived` lists them."""
    with open_results(store, server) as results:
        chosen = _choose(results, jobs, older, owner, (restore,))
        count = _each(chosen, lambda job: results.store.archive(job.id, not restore))
    _report("restored" if restore else "archived", count, as_json)


def _choose(
    results: Results, jobs: list[int] | None, older: str | None, owner: str | None, archived: tuple[bool, ...]
) -> list[StoredJob]:
    """The jobs that the command line names. Raises EvornnError, NotFound."""
    if bool(jobs) == (older is not None):
        raise EvornnError("name jobs, or an age with --older")
    if jobs:
        return [results.store.job(number) for number in jobs]
    before = time.time() - parse_duration(older or "", "older")
    known = [job for flag in archived for job in results.store.jobs(owner=owner, archived=flag)]
    return [job for job in known if job.finished is not None and job.finished < before]


def _confirm(what: str, chosen: list[StoredJob], yes: bool) -> None:
    if yes or not chosen:
        return
    runs = sum(sum(job.counts.values()) for job in chosen)
    question = f"{what} {len(chosen)} {'job' if len(chosen) == 1 else 'jobs'} with {runs:,} runs for ever?"
    if not sys.stdin.isatty():
        raise EvornnError(f"{question} repeat the command with --yes")
    if not typer.confirm(question):
        raise EvornnError(f"nothing was {what}d")


def _each(chosen: list[StoredJob], change: Callable[[StoredJob], int]) -> int:
    for job in chosen:
        change(job)
    return len(chosen)


def _report(what: str, count: int, as_json: bool) -> None:
    show({"jobs": count}, True) if as_json else print(f"{count} {'job' if count == 1 else 'jobs'} {what}")
