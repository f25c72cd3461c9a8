"""Commands that start runs: run, resume, submit."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evornn.cli.options import (
    DEFAULT,
    Address,
    Job,
    Json,
    Priority,
    Report,
    Server,
    Spec,
    Store,
    Workers,
    check_writable,
    open_results,
    resolve_server,
    shell_option,
    target_option,
)
from evornn.cli.output import show, show_comparison
from evornn.errors import EvornnError

if TYPE_CHECKING:
    from evornn.service.reading.results import Results
    from evornn.service.service import Service

QUERIES = (
    "SELECT network, trainer, best_valid_loss, median_test_loss FROM leaderboard WHERE job = {job} ORDER BY place",
    "SELECT run, network, trainer, valid_loss, test_loss, seconds FROM results WHERE job = {job} ORDER BY valid_loss",
)


class CommandInterrupted(Exception):
    """An interrupt after which `evornn resume` is the wrong advice, for instance while a server computes. The message
    says what to do instead."""


def run(
    spec: Spec,
    store: Store = DEFAULT,
    server: Server = None,
    workers: Workers = None,
    address: Address = None,
    report: Report = None,
    as_json: Json = False,
) -> None:
    """Run an experiment, locally or on a server, and compare its trainers."""
    from evornn import library
    from evornn.experiments.yaml import read
    from evornn.service.reading.results import Results
    from evornn.service.service import Service

    remote = is_remote(server, workers, address)
    if not remote:
        library.prepare(workers, address)
    check_writable(report)
    data = read(spec)
    if remote:
        with open_results(store, server) as results:
            _follow(results, results.submit(data), report, as_json)
        return
    service = Service(library.open_store(store, create=True))
    with Results(service) as results:
        _dispatch_job(service, results, results.submit(data), workers, address, report, as_json)


def resume(
    job: Job = None,
    store: Store = DEFAULT,
    server: Server = None,
    workers: Workers = None,
    address: Address = None,
    report: Report = None,
    as_json: Json = False,
) -> None:
    """Resume a job that was interrupted, or whose runs failed or were cancelled."""
    from evornn import library
    from evornn.service.reading.comparison_data import resolve_job
    from evornn.service.reading.results import Results
    from evornn.service.service import Service

    remote = is_remote(server, workers, address)
    if not remote:
        library.prepare(workers, address)
    check_writable(report)
    if remote:
        with open_results(store, server) as results:
            chosen = resolve_job(results.store, job)
            results.resume(chosen)
            _follow(results, chosen, report, as_json)
        return
    service = Service(library.open_store(store, create=False))
    with Results(service) as results:
        chosen = resolve_job(results.store, job)
        results.resume(chosen)
        _dispatch_job(service, results, chosen, workers, address, report, as_json)


def submit(
    spec: Spec,
    priority: Priority = 0,
    key: Annotated[
        str | None, typer.Option(help="Idempotency key: the same key and spec return the same job again.")
    ] = None,
    store: Store = DEFAULT,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Queue an experiment without waiting for it."""
    with open_results(store, server, create=True) as results:
        job = results.submit(spec, idempotency_key=key, priority=priority)
        counts = results.store.job(job).counts
        warn_if_idle(results)
    if as_json:
        show({"job": job, "runs": sum(counts.values())}, True)
    else:
        print(
            f"job {job}: {sum(counts.values())} runs queued; follow it with "
            f"`evornn logs -f {job}{target_option(store, server)}`"
        )


def is_remote(server: str | None, workers: int | None, address: str | None) -> bool:
    """Whether the target of a command is a server.

    Args:
        server: URL of a server, unless --store is given.
        workers: The option --workers.
        address: The option --address.

    Raises:
        EvornnError: Options for local runs are given together with a server.
    """
    if resolve_server(server) is None:
        return False
    if workers is not None or address is not None:
        raise EvornnError("--workers and --address are for local runs: a server has its own dispatchers")
    return True


def _dispatch_job(
    service: Service,
    results: Results,
    job: int,
    workers: int | None,
    address: str | None,
    report: Path | None,
    as_json: bool,
) -> None:
    """Dispatch a job and display its progress, then compare. Exit status 3 if runs failed."""
    from evornn import library
    from evornn.service.progress import progress

    with progress(service.store, job, quiet=as_json) as listener:
        library.work(service.store, job, workers, address, listener)
    finish(results, job, report, as_json)


def _follow(results: Results, job: int, report: Path | None, as_json: bool) -> None:
    """Display the progress of a server's job, then compare. Exit status 3 if runs failed. An interrupt doesn't stop the
    job."""
    from evornn.service.progress import watch

    warn_if_idle(results)
    try:
        watch(results.store, job, quiet=as_json)
    except KeyboardInterrupt:
        which = f"{job}{shell_option('server', results.store.display_url)}"
        raise CommandInterrupted(
            f"job {job} continues on the server: `evornn logs -f {which}` follows it, `evornn cancel {which}` stops it"
        ) from None
    finish(results, job, report, as_json)


def warn_if_idle(results: Results) -> None:
    """Warn if no dispatcher can compute."""
    from evornn.service.reading.cluster_status import problem_of

    if problem := problem_of(results.store):
        print(problem, file=sys.stderr)


def finish(results: Results, job: int, report: Path | None, as_json: bool) -> None:
    """Compare a finished job, and print what to do next.

    Args:
        results: Where the job is.
        job: The job.
        report: Where to write the HTML report.
        as_json: Print JSON.

    Raises:
        typer.Exit: Status 3, runs failed.
    """
    counts = results.store.job(job).counts
    if counts.get("succeeded"):
        show_comparison(results.compare(job), job, as_json)
        if report is not None:
            results.report(report, job)
    elif as_json:
        show({"job": job, "runs": counts}, True)
    if not as_json:
        _print_next_steps(results, job, report if counts.get("succeeded") else None)
    if counts.get("failed"):
        raise typer.Exit(3)


def _print_next_steps(results: Results, job: int, report: Path | None) -> None:
    """Print where the results are, and queries to try."""
    where = results.store.display_url
    is_server = where.startswith("http")
    option = "" if where == DEFAULT else shell_option("server" if is_server else "store", where)
    if report is not None:
        print(f"\nreport    {report.resolve()}")
    print(f"{'server' if is_server else 'database':<10}{getattr(results.store, 'path', None) or where}")
    for k, sql in enumerate(QUERIES):
        print("try       " if k == 0 else "          ", f'evornn query{option} "{sql.format(job=job)}"', sep="")
