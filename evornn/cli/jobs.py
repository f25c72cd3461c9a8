"""Commands on jobs and runs: ls, show, logs, cancel, retry."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evornn.cli.options import DEFAULT, Job, Json, Server, Store, open_results
from evornn.cli.output import show, to_jsonable
from evornn.cli.run import warn_if_idle
from evornn.errors import EvornnError

if TYPE_CHECKING:
    from evornn.service.reading.tail import JobUpdate

Run = Annotated[int, typer.Argument(help="Number of the run.")]
OneJob = Annotated[int | None, typer.Argument(help="Number of the job.", show_default=False)]
OneRun = Annotated[int | None, typer.Option("--run", help="Only this run.")]


def list_(
    job: Annotated[
        int | None, typer.Argument(help="List the runs of this job; default: list jobs.", show_default=False)
    ] = None,
    state: Annotated[str | None, typer.Option(help="Only runs in this state.")] = None,
    task: Annotated[str | None, typer.Option(help="Only this task.")] = None,
    network: Annotated[str | None, typer.Option(help="Only this network.")] = None,
    trainer: Annotated[str | None, typer.Option(help="Only this trainer.")] = None,
    archived: Annotated[bool, typer.Option("--archived", help="Only archived jobs.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of lines.")] = 200,
    store: Store = DEFAULT,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """List jobs, or the runs of a job."""
    from evornn.cli import tables
    from evornn.store.filters import RunFilter

    with open_results(store, server) as results:
        filters = RunFilter(job=job, state=state, task=task, network=network, trainer=trainer)
        if not filters.criteria():
            jobs = results.store.jobs(limit=limit, archived=archived)
            show([{**asdict(j), "state": j.state} for j in jobs] if as_json else tables.jobs(jobs), as_json)
            is_open = any(j.finished is None for j in jobs)
        else:
            if job is not None:
                results.store.job(job)
            runs = results.store.runs(**filters.criteria(), limit=limit)
            show([asdict(r) for r in runs] if as_json else tables.runs(runs), as_json)
            is_open = any(r.state in ("queued", "running") for r in runs)
        if is_open:
            warn_if_idle(results)


def show_run(run: Run, store: Store = DEFAULT, server: Server = None, as_json: Json = False) -> None:
    """Show a run: its spec, curve, result and machine."""
    from evornn.cli import tables

    with open_results(store, server) as results:
        record, curve = results.store.run(run), results.store.curve(run)
        result = results.store.result(run) if record.state == "succeeded" else None
        if as_json:
            rest = {"curve": [asdict(row) for row in curve], "environment": result.environment if result else None}
            show({**asdict(record), **rest}, True)
        else:
            show(tables.run(record, curve, result), False)


def logs(
    job: Job = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Follow the job until it has finished.")] = False,
    run: Annotated[int | None, typer.Option("--run", help="Only this run.")] = None,
    store: Store = DEFAULT,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Show the events and log lines of a job, oldest first; with --json, one object per line."""
    from evornn.service.reading.comparison_data import resolve_job
    from evornn.service.reading.tail import follow as followed
    from evornn.service.reading.tail import pages

    with open_results(store, server) as results:
        chosen = results.store.run(run).job if run is not None else resolve_job(results.store, job)
        problem = None
        for part in followed(results.store, chosen) if follow else pages(results.store, chosen):
            if part.problem != problem and (problem := part.problem):
                print(f"waiting: {problem}", file=sys.stderr)
            for line in _lines(part):
                if run is None or line["run"] == run:
                    print(json.dumps(to_jsonable(line)) if as_json else _text(line), flush=True)


def _lines(news: JobUpdate) -> list[dict[str, Any]]:
    """Events and log lines as one list, sorted by time."""
    lines = [{"time": e.time, "run": e.run, "kind": e.kind, "text": e.detail, "by": e.actor} for e in news.events]
    lines += [{"time": at.time, "run": at.run, "kind": at.level, "text": at.message, "by": ""} for at in news.lines]
    return sorted(lines, key=lambda line: float(line["time"] or 0.0))


def _text(line: dict[str, Any]) -> str:
    from evornn.experiments.text import escape_controls

    when = datetime.fromtimestamp(line["time"]).strftime("%Y-%m-%d %H:%M:%S")
    who = "job" if line["run"] is None else f"run {line['run']}"
    by = f"by {line['by']}" if line["by"] else ""
    text = ", ".join(part for part in (by, line["text"]) if part)
    return f"{when}  {who:<9} {line['kind']:<10} {escape_controls(text)}".rstrip()


def cancel(
    job: OneJob = None, run: OneRun = None, store: Store = DEFAULT, server: Server = None, as_json: Json = False
) -> None:
    """Cancel a job, or one run: queued runs at once, running ones within seconds."""
    job, run = _check_target(job, run)
    with open_results(store, server) as results:
        _print_count(results.cancel(job, run=run), "cancelled", "nothing to cancel: no run is open", as_json)


def retry(
    job: OneJob = None, run: OneRun = None, store: Store = DEFAULT, server: Server = None, as_json: Json = False
) -> None:
    """Queue the failed runs of a job, or one failed run, to start over."""
    job, run = _check_target(job, run)
    with open_results(store, server) as results:
        _print_count(
            results.retry(job, run=run), "queued to start over", "nothing to retry: no run has failed", as_json
        )


def _check_target(job: int | None, run: int | None) -> tuple[int | None, int | None]:
    if (job is None) == (run is None):
        raise EvornnError("name a job, or a run with --run")
    return job, run


def _print_count(count: int, what: str, nothing: str, as_json: bool) -> None:
    if as_json:
        show({"runs": count}, True)
    else:
        print(f"{count} {'run' if count == 1 else 'runs'} {what}" if count else nothing)
