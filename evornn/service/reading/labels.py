"""Names of what runs have in common: equal only where settings and data are equal.

A label is unique within a job. Runs of several jobs may share labels and mean other settings, other data or another
loss by them; then the job's number is added to the label. So nothing is compared that does not belong together.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from evornn.store.records import JobId, RunId, StoredRun


@dataclass(frozen=True)
class Labels:
    """Names of a run's task, network and trainer."""

    task: str
    network: str
    trainer: str


def distinct_labels(runs: Sequence[StoredRun]) -> dict[RunId, Labels]:
    """The names of each run among these."""
    tasks = _names(runs, lambda run: run.task, _task_identity)
    networks = _names(runs, lambda run: run.network, lambda run: _text(run.fragments.get("network")))
    trainers = _names(runs, lambda run: run.trainer, lambda run: _text(run.fragments.get("trainer")))
    return {run.id: Labels(tasks[run.id], networks[run.id], trainers[run.id]) for run in runs}


def _task_identity(run: StoredRun) -> Hashable:
    return _text(run.fragments.get("task")), run.data_digest, _text(run.fragments.get("loss"))


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
