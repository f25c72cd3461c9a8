"""`evornn tune`: search the ranges of a spec, then compare every method untuned and tuned."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from evornn.cli.options import (
    DEFAULT,
    Address,
    Json,
    Report,
    Server,
    Spec,
    Store,
    Workers,
    check_writable,
    open_results,
    target_option,
)
from evornn.cli.run import CommandInterrupted, finish, is_remote, warn_if_idle

if TYPE_CHECKING:
    from evornn.cli.progress import JobProgress
    from evornn.service.reading.results import Results

Work: TypeAlias = "Callable[[int, JobProgress], None]"  # off a job, telling of it


def tune(
    spec: Spec,
    store: Store = DEFAULT,
    server: Server = None,
    workers: Workers = None,
    address: Address = None,
    report: Report = None,
    as_json: Json = False,
) -> None:
    """Search the ranges of an experiment, with the same budget for every method, then compare all untuned and tuned;
    with --server there, and follow it from here.

    Interrupted or killed, the same command goes on where it stopped.
    """
    remote = is_remote(server, workers, address)
    try:
        from evornn import library
        from evornn.cli.progress import track_job
        from evornn.experiments.yaml import read
        from evornn.service.reading.results import Results
        from evornn.service.service import Service

        if not remote:
            library.prepare(workers, address)
        check_writable(report)
        data = read(spec)
        if remote:
            with open_results(store, server) as results:
                warn_if_idle(results)
                _tune(results, data, partial(track_job, results.store), report, as_json)
            return
        service = Service(library.open_store(store, create=True))
        with Results(service) as results, library.job_dispatcher(service.store, workers, address) as work:
            _tune(results, data, work, report, as_json)
    except KeyboardInterrupt:
        note = "; the trials under way are computed to their end" if remote else ""
        command = f"evornn tune {spec}{target_option(store, server)}"
        raise CommandInterrupted(f"interrupted: nothing is lost, `{command}` goes on where it stopped{note}") from None


def _tune(results: Results, spec: dict[str, Any], work: Work, report: Path | None, as_json: bool) -> None:
    """Job after job with progress, then compare; exit status 3 when runs failed."""
    from evornn.cli.progress import progress
    from evornn.cli.tuning_progress import tuning_progress
    from evornn.service.tuning.session import Tuning
    from evornn.service.tuning.trials import trial_jobs

    tuning = Tuning(results.service, spec)
    with tuning_progress(tuning.current, quiet=as_json) as tally:
        for job in trial_jobs(results.store, spec, tuning.current.job):  # a server that goes on passes them by
            tally.begin(results.store.runs(job=job))
        for job in tuning.jobs():
            tally.begin(results.store.runs(job=job))
            work(job, tally)
    final = tuning.comparison()
    with progress(results.store, final, quiet=as_json) as listener:
        work(final, listener)
    finish(results, final, report, as_json)
