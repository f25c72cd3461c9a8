"""`evornn tune`: search the ranges of a spec, then compare every method untuned and tuned. After an interrupt or a
crash, the same command picks up where it left off."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from shlex import quote
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
    from evornn.service.progress import JobProgress
    from evornn.service.reading.results import Results

Work: TypeAlias = "Callable[[int, JobProgress], None]"  # computes a job and updates its progress


def tune(
    spec: Spec,
    store: Store = DEFAULT,
    server: Server = None,
    workers: Workers = None,
    address: Address = None,
    report: Report = None,
    as_json: Json = False,
) -> None:
    """Tune all methods of an experiment with the same budget, then compare them untuned and tuned."""
    remote = is_remote(server, workers, address)
    try:
        from evornn import library
        from evornn.experiments.yaml import read
        from evornn.service.progress import track_job
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
        note = "; running trials continue on the server" if remote else ""
        command = f"evornn tune {quote(str(spec))}{target_option(store, server)}"
        raise CommandInterrupted(
            f"interrupted: nothing is lost, `{command}` picks up where it left off{note}"
        ) from None


def _tune(results: Results, spec: dict[str, Any], work: Work, report: Path | None, as_json: bool) -> None:
    """Compute job after job and display the progress, then compare. Exit status 3 if runs failed."""
    from evornn.cli.tuning_progress import tuning_progress
    from evornn.service.progress import progress
    from evornn.service.tuning.session import Tuning
    from evornn.service.tuning.trials import trial_jobs

    tuning = Tuning(results.service, spec)
    with tuning_progress(tuning.current, quiet=as_json) as tally:
        for job in trial_jobs(results.store, spec, tuning.current.job):  # a resumed tuning skips them
            tally.begin(results.store.runs(job=job))
        for job in tuning.jobs():
            tally.begin(results.store.runs(job=job))
            work(job, tally)
    final = tuning.comparison()
    with progress(results.store, final, quiet=as_json) as listener:
        work(final, listener)
    finish(results, final, report, as_json)
