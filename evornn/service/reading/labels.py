"""Names of what runs have in common: equal only where settings, data and code are equal.

A label is unique within a job. Runs of several jobs may share labels and mean other settings, other data, other code of
the user's own, another loss, regularisation, budget or start by them; then the job's number is added to the label. So
nothing is compared that does not belong together, and no run is taken for a repetition of another.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from evornn.experiments.identity import own_modules
from evornn.store.records import JobId, RunId, StoredRun


@dataclass(frozen=True)
class Labels:
    """Names of a run's task, network and trainer."""

    task: str
    network: str
    trainer: str


def distinct_labels(runs: Sequence[StoredRun]) -> dict[RunId, Labels]:
    """The names of each run among these."""
    tasks = _names(runs, lambda run: run.task, lambda run: (*_parts(run, "task", "loss"), run.data_digest))
    networks = _names(runs, lambda run: run.network, lambda run: _parts(run, "network"))
    trainers = _names(runs, lambda run: run.trainer, _training)
    return {run.id: Labels(tasks[run.id], networks[run.id], trainers[run.id]) for run in runs}


def _training(run: StoredRun) -> tuple[Hashable, ...]:
    """What a trainer is given, besides itself: its budget, its regularisation, and where it starts."""
    return *_parts(run, "trainer", "regularisation", "start_from"), _text(
        {name: value for name, value in run.budget.items() if value is not None}
    )


def _parts(run: StoredRun, *names: str) -> tuple[Hashable, ...]:
    """Settings of some parts of a run, and the digest of its code if they name any."""
    parts = {name: run.fragments.get(name) for name in names}
    return _text(parts), run.code_digest if own_modules(parts) else None


def _names(
    runs: Sequence[StoredRun], label: Callable[[StoredRun], str], identity: Callable[[StoredRun], Hashable]
) -> dict[RunId, str]:
    """The label of each run; with the number of its job where another job means something else by it.

    What a job means by a label is all that its runs with this label are: a tuned trainer has other settings for each
    task and network."""
    meanings: dict[tuple[str, JobId], set[Hashable]] = defaultdict(set)
    for run in runs:
        meanings[label(run), run.job].add(identity(run))
    by_label: dict[str, dict[JobId, frozenset[Hashable]]] = defaultdict(dict)
    for (name, job), meaning in meanings.items():
        by_label[name][job] = frozenset(meaning)
    return {run.id: _name(label(run), run.job, by_label[label(run)]) for run in runs}


def _name(label: str, job: JobId, meanings: dict[JobId, frozenset[Hashable]]) -> str:
    if len(set(meanings.values())) == 1:
        return label
    first = min(other for other, meaning in meanings.items() if meaning == meanings[job])
    return f"{label} (job {first})"


def _text(fragment: Any) -> str:
    return json.dumps(fragment, sort_keys=True)
