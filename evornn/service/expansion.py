"""Expands a spec into runs, checks them, and puts them into the queue."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

from evornn.errors import EvornnError, short_repr
from evornn.experiments.identity import RunFacts, own_modules
from evornn.experiments.spec import Experiment, RunPlan, StartFrom, parse_spec, plan, split_network
from evornn.service.policy import SubmissionPolicy
from evornn.store.records import JobId, NewRun, RunId, StoredRun
from evornn.store.store import Store
from evornn.training.check import check_origin
from evornn.training.oracle import Origin


@dataclass(frozen=True)
class ExpandedSpec:
    """The checked runs of a spec."""

    plans: list[RunPlan]
    facts: list[RunFacts]  # of each run: parameters, identity of data and code
    start_from: StartFrom | None  # the run whose champion they start from


def expand(data: Mapping[str, Any], policy: SubmissionPolicy | None) -> ExpandedSpec:
    """Expand a spec into runs and check each of them. Without a policy, it may name any file and code here."""
    plans, start_from = plan_spec(data, policy)
    return ExpandedSpec(plans, check_distinct(plans, partial(check_within_policy, policy=policy)), start_from)


def plan_spec(data: Mapping[str, Any], policy: SubmissionPolicy | None) -> tuple[list[RunPlan], StartFrom | None]:
    """Expand a spec into runs that have not been checked yet. Raises EvornnError."""
    spec = parse_within_policy(data, policy)
    plans = plan(spec)
    return plans if policy is None else policy.apply(plans), spec.start_from


def parse_within_policy(data: Mapping[str, Any], policy: SubmissionPolicy | None) -> Experiment:
    """Parse a spec, which may name the code that the policy allows; None: any. Raises EvornnError."""
    return parse_spec(data, own_code=True if policy is None else policy.allowed_code)


def check_within_policy(plans: list[RunPlan], policy: SubmissionPolicy | None) -> list[RunFacts]:
    """Check runs to which the policy has been applied. Raises EvornnError, which doesn't name the policy's folder."""
    from evornn.experiments.execute import check_plans  # and torch, which a server needs in its helper alone

    with nullcontext() if policy is None else policy.hide_folder():
        return check_plans(plans)


def check_distinct(plans: list[RunPlan], check: Callable[[list[RunPlan]], list[RunFacts]]) -> list[RunFacts]:
    """Check each combination of task, network and trainer once, for any number of seeds. Raises EvornnError."""
    distinct = {id(plan.fragments): plan for plan in plans}
    facts = dict(zip(distinct, check(list(distinct.values())), strict=True))
    return [facts[id(plan.fragments)] for plan in plans]


def validate_plans(plans: list[RunPlan], start_from: StartFrom | None, policy: SubmissionPolicy | None) -> ExpandedSpec:
    """Check that data loads, and that network, trainer and task fit together.

    Args:
        plans: The runs.
        start_from: The run whose champion they start from.
        policy: What they may name; None: anything.

    Returns:
        The runs, with files as paths of this machine, and their numbers of parameters.

    Raises:
        EvornnError: A run can't be computed, or names what the policy doesn't allow.
    """
    allowed = plans if policy is None else policy.apply(plans)
    return ExpandedSpec(allowed, check_distinct(allowed, partial(check_within_policy, policy=policy)), start_from)


def enqueue(
    store: Store,
    spec: Mapping[str, Any],
    expanded: ExpandedSpec,
    idempotency_key: str | None = None,
    *,
    experiment: str | None = None,
    owner: str = "",
    priority: int = 0,
    limited: bool = True,
) -> JobId:
    """Submit checked runs.

    Args:
        store: The queue.
        spec: The spec as the user wrote it.
        expanded: Its runs.
        idempotency_key: The same key and spec of the same owner return the same job again.
        experiment: Name of the experiment; default: the spec's name.
        owner: User of the job.
        priority: Runs with a larger one are claimed first.
        limited: Whether the owner's quota holds.

    Returns:
        Number of the job.

    Raises:
        NotFound: The run to start from has no champion.
        Conflict: The key was used for another spec.
        EvornnError: The run to start from has another number of parameters.
    """
    if expanded.start_from is not None:
        _check_start(store, expanded.start_from.run, expanded)
    store.keep_evaluation_data({str(facts.identity.data): facts.evaluation for facts in expanded.facts})
    runs = [_new_run(plan, facts) for plan, facts in zip(expanded.plans, expanded.facts, strict=True)]
    return store.submit(
        dict(spec), runs, idempotency_key, experiment=experiment, owner=owner, priority=priority, limited=limited
    )


def _new_run(plan: RunPlan, facts: RunFacts) -> NewRun:
    labels = plan.task, plan.network, plan.trainer
    digests = facts.identity.data, facts.identity.code
    return NewRun(*labels, plan.fragments, plan.seed, plan.budget, plan.position, facts.parameters, *digests)


def _check_start(store: Store, run: RunId, expanded: ExpandedSpec) -> None:
    """Check that runs can start from the champion of another: the same architecture, settings, code and sizes.
    Weights of another network of the same number of parameters would mean something else.

    Raises:
        NotFound: There is no such run, or it has no champion.
        EvornnError: Its network is another one.
    """
    origin, there = Origin(store.champion(run)), store.run(run)
    kept = store.evaluation_data(there.data_digest)
    for new_run, facts in zip(expanded.plans, expanded.facts, strict=True):
        _check_same_network(there, new_run, facts)
        check_origin(origin, facts.parameters)
        if kept is not None and kept.sizes != facts.evaluation.sizes:
            raise EvornnError(
                f"start_from: run {run} has {kept.sizes[0]} inputs and {kept.sizes[1]} outputs, this spec "
                f"{facts.evaluation.sizes[0]} and {facts.evaluation.sizes[1]}: start from a run of the same network"
            )


def _check_same_network(there: StoredRun, new_run: RunPlan, facts: RunFacts) -> None:
    here, network = new_run.fragments["network"], there.fragments["network"]
    if here != network and (here["kind"] != network["kind"] or split_network(here) != split_network(network)):
        raise EvornnError(
            f"start_from: run {there.id} has the network {short_repr(network)}, this spec {short_repr(here)}: start "
            "from a run of the same network"
        )
    modules = own_modules(new_run.fragments)
    is_comparable = own_modules(here) and modules == own_modules(there.fragments)  # a run has one digest of all
    if is_comparable and there.code_digest not in (None, facts.identity.code):
        raise EvornnError(
            f"start_from: the code of {', '.join(modules)} has changed since run {there.id}: put it back, or start "
            "from a run with this code"
        )
