"""`evornn tune`: search the ranges of a spec, then compare every method untuned and tuned."""

from __future__ import annotations

from evornn.cli.options import DEFAULT, Address, Json, Report, Spec, Store, Workers, place, writable
from evornn.cli.running import Detached, end


def tune(
    spec: Spec,
    store: Store = DEFAULT,
    workers: Workers = None,
    address: Address = None,
    report: Report = None,
    as_json: Json = False,
) -> None:
    """Search the ranges of an experiment, with the same budget for every method, then compare all untuned and tuned.

    Interrupted or killed, the same command goes on where it stopped.
    """
    try:
        from evornn import library
        from evornn.cli.progress import progress
        from evornn.cli.trials import trials
        from evornn.experiments.yaml import read
        from evornn.service.results import Results
        from evornn.service.service import Service
        from evornn.service.tuning import Tuner

        library.prepare(workers, address)
        writable(report)
        data = read(spec)
        opened = library.open_store(store, create=True)
        with Results(Service(opened)) as results:
            tuner = Tuner(opened, data)
            with library.working(opened, workers, address) as work:
                with trials(tuner, quiet=as_json) as tally:
                    for job in tuner.jobs():
                        tally.begin(opened.runs(job=job))
                        work(job, tally)
                final = tuner.comparison()
                with progress(opened, final, quiet=as_json) as listener:
                    work(final, listener)
            end(results, final, report, as_json)
    except KeyboardInterrupt:
        again = f"evornn tune {spec}{place(store, None)}"
        raise Detached(f"interrupted: nothing is lost, `{again}` goes on where it stopped") from None
