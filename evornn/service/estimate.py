"""The cost of a spec before it is submitted: runs, parameters, network steps, and time by what similar runs took."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from evornn.service.expansion import ExpandedSpec
from evornn.service.interface import StoreInterface
from evornn.store.records import StoredRun

RECENT = 200  # finished runs that the estimate is based on


@dataclass(frozen=True)
class Estimate:
    """The expected cost of a job."""

    runs: int
    parameters: tuple[int, int]  # of the smallest and the largest network
    network_steps: int  # of all runs together
    seconds: float | None  # computing time of all runs together; None: the store has no finished run to go by


def estimate(expanded: ExpandedSpec, store: StoreInterface) -> Estimate:
    """Estimate the cost of a spec. A network step takes as long as in earlier runs of the same task and network, else
    of the same network, else of any."""
    recent = store.runs(state="succeeded", order="-id", limit=RECENT)
    known = [run for run in recent if run.seconds and run.network_steps]
    steps = [int(plan.budget["steps"]) for plan in expanded.plans]
    pairs = [(plan.fragments["task"].get("kind"), plan.fragments["network"].get("kind")) for plan in expanded.plans]
    paces = {pair: _seconds_per_step(known, *pair) for pair in set(pairs)}
    seconds = sum(n * (paces[pair] or 0.0) for n, pair in zip(steps, pairs, strict=True)) if known else None
    sizes = [facts.parameters for facts in expanded.facts]
    return Estimate(len(expanded.plans), (min(sizes), max(sizes)), sum(steps), seconds)


def _seconds_per_step(known: list[StoredRun], task: str | None, network: str | None) -> float | None:
    """Median over the most similar runs."""
    same_network = [run for run in known if run.fragments["network"].get("kind") == network]
    same_both = [run for run in same_network if run.fragments["task"].get("kind") == task]
    for chosen in (same_both, same_network, known):
        if chosen:
            return median((run.seconds or 0.0) / (run.network_steps or 1) for run in chosen)
    return None
