"""Trials in the store: a batch of them is a job, in the order of methods, numbers and seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evornn.errors import EvornnError
from evornn.experiments.tuning.methods import Labels, Method, TunableSpec
from evornn.service.interface import StoreInterface
from evornn.store.records import JobId, StoredRun


@dataclass(frozen=True)
class Trial:
    """A finished trial."""

    number: int
    labels: Labels  # of its method
    values: dict[str, Any]
    loss: float  # validation loss of the champions, the median over the trial's runs; that of a failed run is infinite
    network_steps: int  # of all its runs together


def best_trial(trials: Sequence[Trial]) -> Trial:
    """The trial with the lowest loss; the first one of equals."""
    return min(trials, key=lambda trial: (trial.loss, trial.number))


def experiment_of(spec: Mapping[str, Any]) -> str:
    """Name of the experiment that the trials of a spec belong to."""
    return f"{spec['name']} (tuning)"


def trial_jobs(store: StoreInterface, spec: Mapping[str, Any], job: JobId) -> list[JobId]:
    """The jobs of a tuning's trials, in their order.

    Args:
        store: Where they are.
        spec: The spec with ranges.
        job: A later job of the same tuning, such as its comparison.

    Returns:
        The earlier jobs of the same spec and owner.
    """
    about = store.job(job)
    same = (about.spec_id, about.owner)
    known = [j for flag in (False, True) for j in store.jobs(experiment=experiment_of(spec), before=job, archived=flag)]
    return sorted(other.id for other in known if (other.spec_id, other.owner) == same)


def batches(tunable: TunableSpec) -> list[range]:
    """The numbers of each job's trials."""
    count, size = tunable.tuning.trials, tunable.tuning.batch
    return [range(first, min(first + size, count)) for first in range(0, count, size)]


def batch_trials(tunable: TunableSpec, runs: Sequence[StoredRun], numbers: range) -> list[list[Trial]]:
    """The finished trials of a batch.

    Args:
        tunable: The spec with ranges.
        runs: The runs of the batch's job, in the order of their positions.
        numbers: The numbers of the trials.

    Returns:
        [tuned methods][numbers] trials.

    Raises:
        EvornnError: A run has not finished.
    """
    for run in runs:
        if run.state not in ("succeeded", "failed"):
            raise EvornnError(f"run {run.id} of the tuning is {run.state}: the same `evornn tune` resumes it")
    seeds = len(tunable.seeds)
    parts = iter([runs[first : first + seeds] for first in range(0, len(runs), seeds)])
    return [[_trial(method, number, next(parts)) for number in numbers] for method in tunable.tunable_methods]


def _trial(method: Method, number: int, runs: Sequence[StoredRun]) -> Trial:
    losses = [run.valid_loss if run.state == "succeeded" else None for run in runs]
    known = [loss if loss is not None and np.isfinite(loss) else np.inf for loss in losses]
    steps = sum(run.network_steps or 0 for run in runs)
    labels = method.of_trial((runs[0].task, runs[0].network, runs[0].trainer), number)
    return Trial(number, labels, method.values(runs[0].fragments), float(np.median(known)), steps)
