"""What people ask of evornn, in one place for the command line, the library and the servers: submit, look, compare."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evornn.errors import EvornnError
from evornn.experiments.execute import check_plans
from evornn.experiments.spec import experiment, plan
from evornn.store.records import JobId, NewRun
from evornn.store.store import Store
from evornn.training.check import check_origin
from evornn.training.oracle import Origin


def submit(store: Store, data: Mapping[str, Any], idempotency_key: str | None = None) -> JobId:
    """Queue a spec's runs, all of them checked before: data loads, network, trainer and task fit together."""
    spec = experiment(data)
    plans = plan(spec)
    sizes = check_plans(plans)
    if spec.start_from is not None:
        origin = Origin(store.champion(spec.start_from.run))  # raises when there is none
        for parameters in sizes:
            check_origin(origin, parameters)
    runs = [
        NewRun(p.task, p.network, p.trainer, p.fragments, p.seed, p.budget, p.position, parameters)
        for p, parameters in zip(plans, sizes, strict=True)
    ]
    return store.submit(dict(data), runs, idempotency_key)


def chosen_job(store: Store, job: int | None) -> JobId:
    """A job by its number, or the newest one."""
    if job is not None:
        return store.job(job).id
    jobs = store.jobs(limit=1)
    if not jobs:
        raise EvornnError("the store has no job yet: start one with `evornn run SPEC`")
    return jobs[0].id
