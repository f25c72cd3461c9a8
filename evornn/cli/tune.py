"""`evornn tune`: search the ranges of a spec, then compare every method untuned and tuned."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from evornn.cli.options import DEFAULT, Address, Json, Report, Server, Spec, Store, Workers, opened, place, writable
from evornn.cli.run import Detached, end, there, warn

if TYPE_CHECKING:
    from evornn.cli.progress import Tally
    from evornn.service.reading.results import Results

Work: TypeAlias = "Callable[[int, Tally], None]"  # off a job, telling of it


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
    elsewhere = there(server, workers, address)
    try:
        from evornn import library
        from evornn.cli.progress import see
        from evornn.experiments.yaml import read
        from evornn.service.reading.results import Results
        from evornn.service.service import Service

        if not elsewhere:
            library.prepare(workers, address)
        writable(report)
        data = read(spec)
        if elsewhere:
            with opened(store, server) as results:
                warn(results)
                _tune(results, data, partial(see, results.store), report, as_json)
            return
        service = Service(library.open_store(store, create=True))
        with Results(service) as results, library.working(service.store, workers, address) as work:
            _tune(results, data, work, report, as_json)
    except KeyboardInterrupt:
        there_too = "; the trials under way are computed to their end" if elsewhere else ""
        again = f"evornn tune {spec}{place(store, server)}"
        raise Detached(f"interrupted: nothing is lost, `{again}` goes on where it stopped{there_too}") from None


def _tune(results: Results, spec: dict[str, Any], work: Work, report: Path | None, as_json: bool) -> None:
    """Job after job with progress, then compare; exit status 3 when runs failed."""
    from evornn.cli.progress import progress
    from evornn.cli.tuning_progress import trials
    from evornn.service.tuning.session import Tuning
    from evornn.service.tuning.trials import trial_jobs

    tuning = Tuning(results.service, spec)
    with trials(tuning.now, quiet=as_json) as tally:
        for job in trial_jobs(results.store, spec, tuning.now.job):  # a server that goes on passes them by
            tally.begin(results.store.runs(job=job))
        for job in tuning.jobs():
            tally.begin(results.store.runs(job=job))
            work(job, tally)
    final = tuning.comparison()
    with progress(results.store, final, quiet=as_json) as listener:
        work(final, listener)
    end(results, final, report, as_json)
