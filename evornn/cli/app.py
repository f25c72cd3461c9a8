"""The commands. Each takes `--json` for machines and prints tables for people."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evornn.cli.dispatch import dispatch
from evornn.errors import EvornnError

if TYPE_CHECKING:
    from evornn.service.results import Results

app = typer.Typer(
    help="Train recurrent networks by evolution, by gradient and by both, and find out which is better.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
database = typer.Typer(help="Look after the database.", no_args_is_help=True)
app.add_typer(database, name="db")
app.command()(dispatch)

Store = Annotated[
    str, typer.Option("--store", envvar="EVORNN_STORE", help="Database URL.", show_default="sqlite:///evornn.db")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Workers = Annotated[int | None, typer.Option(min=0, help="CPUs of a local Ray; 0: no Ray. Default: all.")]
Address = Annotated[str | None, typer.Option(help="A Ray cluster, for example host:6379; default: a local Ray.")]
Report = Annotated[Path | None, typer.Option(help="Also write the comparison as one HTML file.")]
Job = Annotated[int | None, typer.Argument(help="Number of the job; default: the newest.", show_default=False)]
DEFAULT = "sqlite:///evornn.db"
QUERIES = (
    "SELECT network, trainer, best_valid_loss, median_test_loss FROM leaderboard WHERE job = {job} ORDER BY place",
    "SELECT run, network, trainer, valid_loss, test_loss, seconds FROM results WHERE job = {job} ORDER BY valid_loss",
)


class What(StrEnum):
    """What can be exported."""

    runs = "runs"
    curves = "curves"


@app.command()
def run(
    spec: Annotated[Path, typer.Argument(help="Experiment, YAML or JSON.")],
    store: Store = DEFAULT,
    workers: Workers = None,
    address: Address = None,
    report: Report = None,
    as_json: Json = False,
) -> None:
    """Run an experiment to its end and compare."""
    from evornn import library
    from evornn.experiments.yaml import read
    from evornn.service.service import submit

    library.prepare(workers, address)
    _writable(report)
    data = read(spec)
    with _open(store, create=True) as results:
        _work(results, submit(results.store, data), workers, address, report, as_json)


@app.command()
def resume(
    job: Job = None,
    store: Store = DEFAULT,
    workers: Workers = None,
    address: Address = None,
    report: Report = None,
    as_json: Json = False,
) -> None:
    """Go on with a job that was interrupted, or whose runs failed."""
    from evornn import library
    from evornn.service.service import chosen_job

    library.prepare(workers, address)
    _writable(report)
    with _open(store) as results:
        chosen = chosen_job(results.store, job)
        results.store.resume(chosen)
        _work(results, chosen, workers, address, report, as_json)


@app.command("ls")
def list_(
    job: Annotated[
        int | None, typer.Argument(help="List the runs of this job; default: list jobs.", show_default=False)
    ] = None,
    state: Annotated[str | None, typer.Option(help="Only runs in this state.")] = None,
    task: Annotated[str | None, typer.Option(help="Only this task.")] = None,
    network: Annotated[str | None, typer.Option(help="Only this network.")] = None,
    trainer: Annotated[str | None, typer.Option(help="Only this trainer.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Lines at most.")] = 200,
    store: Store = DEFAULT,
    as_json: Json = False,
) -> None:
    """List jobs, or the runs of one."""
    from evornn.cli import tables

    filters = {"state": state, "task": task, "network": network, "trainer": trainer}
    with _open(store) as results:
        if job is None and not any(filters.values()):
            jobs = results.store.jobs(limit=limit)
            _print([{**asdict(j), "state": j.state} for j in jobs] if as_json else tables.jobs(jobs), as_json)
        else:
            if job is not None:
                results.store.job(job)
            runs = results.store.runs(job=job, limit=limit, order="id", **{k: v for k, v in filters.items() if v})
            _print([asdict(r) for r in runs] if as_json else tables.runs(runs), as_json)


@app.command()
def show(
    run: Annotated[int, typer.Argument(help="Number of the run.")], store: Store = DEFAULT, as_json: Json = False
) -> None:
    """Show one run: spec, curve, result, machine."""
    from evornn.cli import tables

    with _open(store) as results:
        record, curve = results.store.run(run), results.store.curve(run)
        result = results.store.result(run) if record.state == "succeeded" else None
        if as_json:
            rest = {"curve": [asdict(row) for row in curve], "environment": result.environment if result else None}
            _print({**asdict(record), **rest}, True)
        else:
            _print(tables.run(record, curve, result), False)


@app.command()
def compare(job: Job = None, report: Report = None, store: Store = DEFAULT, as_json: Json = False) -> None:
    """Compare the trainers of a job: losses, costs, tests, and whether the baselines are beaten."""
    from evornn.service.service import chosen_job

    _writable(report)
    with _open(store) as results:
        _compare(results, chosen_job(results.store, job), report, as_json)


@app.command()
def query(
    sql: Annotated[str, typer.Argument(help="A SELECT on the views of docs/store.md.")],
    limit: Annotated[int, typer.Option(min=1, help="Rows at most.")] = 1000,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds at most.")] = 5.0,
    store: Store = DEFAULT,
    as_json: Json = False,
) -> None:
    """Ask the database with read-only SQL."""
    from evornn.cli import tables

    with _open(store) as results:
        columns, rows = results.store.query(sql, limit=limit, timeout=timeout)
    _print([dict(zip(columns, row, strict=True)) for row in rows] if as_json else tables.table(columns, rows), as_json)


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="Where to: .csv, .parquet or .json.")],
    what: Annotated[What, typer.Option(help="Runs, one line each; or their curves, one line per mark.")] = What.runs,
    job: Annotated[int | None, typer.Option(help="Only this job.")] = None,
    store: Store = DEFAULT,
    as_json: Json = False,
) -> None:
    """Write runs or learning curves to a file."""
    from evornn.service.exporting import export as write

    with _open(store) as results:
        lines = write(results.store, file, what.value, job)
    _print({"file": str(file), "lines": lines} if as_json else f"{lines} {what.value} written to {file}", as_json)


@app.command()
def catalog(
    name: Annotated[
        str | None, typer.Argument(help="Only this one, with all that is known.", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """List the tasks, networks and trainers there are, and their settings."""
    from evornn.cli import tables
    from evornn.experiments.catalog import entries

    found = entries(name)
    _print([asdict(entry) for entry in found] if as_json else tables.catalog(found), as_json)


@app.command()
def doctor(store: Store = DEFAULT, as_json: Json = False) -> None:
    """Check this machine: libraries, memory, disk, GPU, Ray, the store."""
    from evornn.cli import tables
    from evornn.service.doctor import examine

    found = examine(store)
    _print([asdict(finding) for finding in found] if as_json else tables.findings(found), as_json)
    if any(not finding.good for finding in found):
        raise typer.Exit(1)


@database.command()
def upgrade(store: Store = DEFAULT, as_json: Json = False) -> None:
    """Bring the database to this version's schema."""
    from evornn.store.upgrading import upgrade as do

    version = do(store)
    _print({"version": version} if as_json else f"{store} is at schema {version}", as_json)


@database.command()
def check(store: Store = DEFAULT, as_json: Json = False) -> None:
    """Check the database's schema and file."""
    from evornn.store.upgrading import check as do

    health = do(store)
    _print(asdict(health) if as_json else str(health), as_json)


def _open(store: str, create: bool = False) -> Results:
    from evornn import library

    return library.open(store, create=create)


def _work(
    results: Results, job: int, workers: int | None, address: str | None, report: Path | None, as_json: bool
) -> None:
    """Dispatch a job with progress, then compare; exit status 3 when runs failed."""
    from evornn import library
    from evornn.cli.progress import progress

    with progress(results.store, job, quiet=as_json) as listener:
        library.work(results.store, job, workers, address, listener)
    counts = results.store.job(job).counts
    if counts.get("succeeded"):
        _compare(results, job, report, as_json)
    elif as_json:
        _print({"job": job, "runs": counts}, True)
    if not as_json:
        _next(results, job, report if counts.get("succeeded") else None)
    if counts.get("failed"):
        raise typer.Exit(3)


def _compare(results: Results, job: int, report: Path | None, as_json: bool) -> None:
    from evornn.experiments.comparison import as_data
    from evornn.experiments.terminal import rendered
    from evornn.service.comparing import Comparing

    comparing = Comparing(results.store, job)
    _print({"job": job, **as_data(comparing.comparison)} if as_json else rendered(comparing.comparison), as_json)
    if report is not None:
        comparing.report(report, results.store.where)


def _next(results: Results, job: int, report: Path | None) -> None:
    """Where everything is, and what to try."""
    store = "" if results.store.where == DEFAULT else f" --store {results.store.where}"
    if report is not None:
        print(f"\nreport    {report.resolve()}")
    print(f"database  {results.store.path or results.store.where}")
    for k, sql in enumerate(QUERIES):
        print("try       " if k == 0 else "          ", f'evornn query{store} "{sql.format(job=job)}"', sep="")


def _writable(report: Path | None) -> None:
    """Find out before hours of work that its report can't be written."""
    if report is None:
        return
    folder = report.absolute().parent
    if not folder.is_dir():
        raise EvornnError(f"--report {report}: the folder {folder} does not exist: create it first")
    if report.is_dir():
        raise EvornnError(f"--report {report}: is a folder: name a file in it")
    if not os.access(report if report.exists() else folder, os.W_OK):
        raise EvornnError(f"--report {report}: may not be written: choose another place")


def _print(what: Any, as_json: bool) -> None:
    if as_json:
        print(json.dumps(_plain(what), indent=1))
        return
    from rich.console import Console

    console = Console()
    if not console.is_terminal:  # a file or a pipe has no width
        console.width = 100
    console.print(what)


def _plain(value: Any) -> Any:
    """JSON has no NaN and no infinity: they become text."""
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if isinstance(value, float) and value - value != 0:
        return str(value)
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
