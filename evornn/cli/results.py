"""Commands that read results: compare, query, export, model, catalog."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from evornn.cli.models import Trust, load_model
from evornn.cli.options import DEFAULT, ExportKind, Job, Json, Report, Server, Store, check_writable, open_results
from evornn.cli.output import show, show_comparison


def compare(
    job: Job = None, report: Report = None, store: Store = DEFAULT, server: Server = None, as_json: Json = False
) -> None:
    """Compare the trainers of a job: losses, costs, tests and baselines."""
    from evornn.service.reading.comparison_data import resolve_job

    check_writable(report)
    with open_results(store, server) as results:
        chosen = resolve_job(results.store, job)
        show_comparison(results.compare(chosen), chosen, as_json)
        if report is not None:
            results.report(report, chosen)


def query(
    sql: Annotated[str, typer.Argument(help="A SELECT on the views of docs/reference/store.md.")],
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of rows.")] = 1000,
    timeout: Annotated[float, typer.Option(min=0.1, help="Time limit in seconds.")] = 5.0,
    store: Store = DEFAULT,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Run a read-only SELECT on the database."""
    from evornn.cli import tables

    with open_results(store, server) as results:
        columns, rows = results.store.query(sql, limit=limit, timeout=timeout)
    show(
        [dict(zip(columns, row, strict=True)) for row in rows] if as_json else tables.QueryResult(columns, rows),
        as_json,
    )


def export(
    file: Annotated[Path, typer.Argument(help="Output file: .csv, .parquet or .json.")],
    what: Annotated[
        ExportKind, typer.Option(help="Runs, one row each; or their curves, one row per mark.")
    ] = ExportKind.runs,
    job: Annotated[int | None, typer.Option(help="Only this job.")] = None,
    store: Store = DEFAULT,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Write runs or learning curves to a file."""
    from evornn.service.reading.export import export as write

    with open_results(store, server) as results:
        lines = write(results.store, file, what.value, job)
    show({"file": str(file), "lines": lines} if as_json else f"{lines} {what.value} written to {file}", as_json)


def model(
    source: Annotated[str, typer.Argument(help="A run's number, a .safetensors file, or a registered model's name.")],
    file: Annotated[
        Path, typer.Argument(help="Output file: .safetensors for evornn; .onnx, .py (torch), .c or .json for others.")
    ],
    trust: Trust = False,
    store: Store = DEFAULT,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Write a model, that of a run or of a file, to a file for evornn or for other programs. These files are compared
    with the network first."""
    if source.isdecimal():
        with open_results(store, server) as results:
            written, of = results.run(int(source)).model, {"run": int(source)}
    else:
        written, of = load_model(source, trust, store, server), {}
    difference = written.write(file)
    sizes = {"inputs": written.inputs, "outputs": written.outputs, "parameters": len(written.genome)}
    about = {"file": str(file), "difference": difference, **of, "network": written.architecture, **sizes}
    compared = f"; over 400 steps it differs by {difference:.1g} at most" if difference is not None else ""
    name = f"the model of run {source}" if of else source
    show(about if as_json else f"{name} written to {file}{compared}", as_json)


def catalog(
    name: Annotated[str | None, typer.Argument(help="Only this one, in detail.", show_default=False)] = None,
    as_json: Json = False,
) -> None:
    """List the available tasks, networks and trainers, and their settings."""
    from evornn.cli import tables
    from evornn.experiments.catalog import entries

    matches = entries(name)
    show([asdict(entry) for entry in matches] if as_json else tables.catalog(matches), as_json)
