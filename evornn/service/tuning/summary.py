"""What the tuning behind a comparison found and cost, read from the store."""

from __future__ import annotations

from math import isfinite

from evornn.errors import EvornnError
from evornn.experiments.analysis.comparison import Tuned
from evornn.experiments.tuning.tunable_spec import tunable
from evornn.service.interface import Reads
from evornn.service.tuning.trials import Trial, batches, best, trial_jobs, trials
from evornn.store.records import JobId


def tuned(store: Reads, job: JobId) -> tuple[Tuned, ...]:
    """One per method that was tuned; none where the job is no comparison of `evornn tune`."""
    spec = store.spec(job)
    if "tuning" not in spec or store.job(job).experiment != spec["name"]:
        return ()
    try:
        found = tunable(spec)
    except EvornnError:  # its own cells are not on this machine: its runs can be compared all the same
        return ()
    each: list[list[Trial]] = [[] for _ in found.tuned]
    for number, batch in zip(trial_jobs(store, spec, job), batches(found), strict=True):
        for known, more in zip(each, trials(found, store.runs(job=number, order="position"), batch), strict=True):
            known += more
    return tuple(_summary(ended, len(found.seeds)) for ended in each)


def _summary(ended: list[Trial], seeds: int) -> Tuned:
    chosen = best(ended)
    return Tuned(
        *chosen.labels,
        trials=len(ended),
        failed=sum(not isfinite(trial.loss) for trial in ended),
        runs=len(ended) * seeds,
        network_steps=sum(trial.network_steps for trial in ended),
        best=chosen.number + 1,
        valid=chosen.loss,
        settings=chosen.values,
    )
