"""Results and cost of the tuning behind a comparison, read from the store."""

from __future__ import annotations

from math import isfinite

from evornn.errors import EvornnError
from evornn.experiments.analysis.comparison import TuningSummary
from evornn.experiments.tuning.tunable_spec import parse_tunable_spec
from evornn.service.interface import StoreInterface
from evornn.service.tuning.trials import Trial, batch_trials, batches, best_trial, trial_jobs
from evornn.store.records import JobId


def summarize_tuning(store: StoreInterface, job: JobId) -> tuple[TuningSummary, ...]:
    """One summary per tuned method; none if the job isn't the comparison of `evornn tune`."""
    spec = store.spec(job)
    if "tuning" not in spec or store.job(job).experiment != spec["name"]:
        return ()
    try:
        space = parse_tunable_spec(spec)
    except EvornnError:  # the user's own cells are not on this machine; the runs can be compared all the same
        return ()
    each: list[list[Trial]] = [[] for _ in space.tunable_methods]
    for number, batch in zip(trial_jobs(store, spec, job), batches(space), strict=True):
        for known, more in zip(each, batch_trials(space, store.runs(job=number, order="position"), batch), strict=True):
            known += more
    return tuple(_summary(group, len(space.seeds)) for group in each)


def _summary(method_trials: list[Trial], seeds: int) -> TuningSummary:
    chosen = best_trial(method_trials)
    return TuningSummary(
        *chosen.labels,
        trials=len(method_trials),
        failed=sum(not isfinite(trial.loss) for trial in method_trials),
        runs=len(method_trials) * seeds,
        network_steps=sum(trial.network_steps for trial in method_trials),
        best=chosen.number + 1,
        valid=chosen.loss,
        settings=chosen.values,
    )
