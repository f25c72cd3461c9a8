"""Experiments of which a store keeps all runs: submitted once, worked off, and found there again by their spec."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeAlias

from evornn import library
from evornn.service.dispatch.dispatcher import Listener
from evornn.service.service import submit
from evornn.store.codec import digest
from evornn.store.records import JobId
from evornn.store.store import Store

Spec: TypeAlias = Mapping[str, Any]
Watching: TypeAlias = Callable[[Store, JobId], AbstractContextManager[Listener]]


def compute(specs: Sequence[Spec], store: Store, workers: int | None, watching: Watching) -> None:
    """Compute what is missing of each; interrupted, it goes on there the next time."""
    jobs = [job_of(spec, store) or submit(store, spec) for spec in specs]
    for job in jobs:
        store.resume(job)
        with watching(store, job) as listener:
            library.work(store, job, workers, None, listener)


def job_of(spec: Spec, store: Store) -> JobId | None:
    """The newest job with exactly this spec."""
    same = (job.id for job in store.jobs(experiment=spec["name"]) if job.spec_id == digest(dict(spec)))
    return next(same, None)
