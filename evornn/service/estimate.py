"""What a spec would cost, before anybody submits it: runs, parameters, network steps, time by what like runs took."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from evornn.service.expansion import ExpandedSpec
from evornn.service.interface import StoreInterface
from evornn.store.records import StoredRun

RECENT = 200  # runs of the store that are looked at


@dataclass(frozen=True)
class Estimate:
    """`seconds` of computing time, summed over all runs; None where the store has no run to tell by."""

    runs: int
    parameters: tuple[int, int]  # fewest and most, of a run
    network_steps: int
    seconds: float | None


def estimate(expanded: ExpandedSpec, store: StoreInterface) -> Estimate:
    """Time per network step is that of earlier runs of the same task and network, else same network, else of any."""
    recent = store.runs(state="succeeded", order="-id", limit=RECENT)
    known = [run for run in recent if run.seconds and run.network_steps]
    steps = [int(plan.budget["steps"]) for plan in expanded.plans]
    paces = [
        _seconds_per_step(known, plan.fragments["task"].get("kind"), plan.fragments["network"].get("kind"))
        for plan in expanded.plans
    ]
    seconds = sum(count * pace for count, pace in zip(steps, paces, strict=True) if pace) if known else None
    return Estimate(len(expanded.plans), (min(expanded.sizes), max(expanded.sizes)), sum(steps), seconds)


def _seconds_per_step(known: list[StoredRun], task: str | None, network: str | None) -> float | None:
    """Seconds per network step."""
    same_network = [run for run in known if run.fragments["network"].get("kind") == network]
    same_both = [run for run in same_network if run.fragments["task"].get("kind") == task]
    for chosen in (same_both, same_network, known):
        if chosen:
            return median((run.seconds or 0.0) / (run.network_steps or 1) for run in chosen)
    return None
