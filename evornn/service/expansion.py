"""From a spec to checked runs, and these into the queue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evornn.experiments.execute import check_plans
from evornn.experiments.spec import RunPlan, StartFrom, parse_spec, plan
from evornn.service.policy import SubmissionPolicy
from evornn.store.records import JobId, NewRun
from evornn.store.store import Store
from evornn.training.check import check_origin
from evornn.training.oracle import Origin


@dataclass(frozen=True)
class ExpandedSpec:
    """A spec that was checked: its runs, the parameters of each, and the run that they start from."""

    plans: list[RunPlan]
    sizes: list[int]
    start_from: StartFrom | None


def expand(data: Mapping[str, Any], policy: SubmissionPolicy | None) -> ExpandedSpec:
    """A spec's runs, each of them checked. Without rules it may name what the user of this machine may."""
    spec = parse_spec(data, own_code=True if policy is None else policy.allowed_code)
    return validate_plans(plan(spec), spec.start_from, policy)


def validate_plans(plans: list[RunPlan], start_from: StartFrom | None, policy: SubmissionPolicy | None) -> ExpandedSpec:
    """Runs whose data loads, whose network, trainer and task fit together. Raises EvornnError."""
    allowed = plans if policy is None else policy.apply(plans)
    return ExpandedSpec(allowed, check_plans(allowed), start_from)


def enqueue(
    store: Store,
    spec: Mapping[str, Any],
    expanded: ExpandedSpec,
    idempotency_key: str | None = None,
    *,
    experiment: str | None = None,
    owner: str = "",
    priority: int = 0,
) -> JobId:
    """Into the queue, unless the run to start from is missing or of another size. Its experiment is `experiment`,
    or the spec's name."""
    if expanded.start_from is not None:
        origin = Origin(store.champion(expanded.start_from.run))  # raises when there is none
        for parameters in expanded.sizes:
            check_origin(origin, parameters)
    runs = [
        NewRun(p.task, p.network, p.trainer, p.fragments, p.seed, p.budget, p.position, parameters)
        for p, parameters in zip(expanded.plans, expanded.sizes, strict=True)
    ]
    return store.submit(dict(spec), runs, idempotency_key, experiment=experiment, owner=owner, priority=priority)
