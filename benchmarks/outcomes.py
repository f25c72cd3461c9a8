"""What runs have found, to the bit: for comparing a disturbed experiment with an undisturbed one."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any

from evornn.store.store import Store

SPEC: dict[str, Any] = {
    "name": "chaos",
    "tasks": [{"kind": "adding", "length": 10, "train": 100, "valid": 20, "test": 20}],
    "networks": [{"kind": "elman", "units": 4}, {"kind": "gru", "units": 3}],
    "trainers": [
        {"kind": "cma_es", "population": 8, "batch": 50},
        {"kind": "adam", "batch": 50},
        {
            "kind": "memetic",
            "evolve": {"kind": "cma_es", "population": 8, "batch": 50},
            "refine": {"kind": "adam", "batch": 20},
        },
    ],
    "seeds": 2,
    "budget": {"steps": 2_000_000, "marks": 40, "targets": [0.1, 0.02]},
}
RUNS = 12


def outcome(store: Store, job: int) -> dict[str, Any]:
    """All that a job has found, by what was run: everything but times and machines."""
    return {f"{run.network} {run.trainer} {run.seed}": run_outcome(store, run.id) for run in store.runs(job=job)}


def run_outcome(store: Store, run: int) -> dict[str, Any]:
    curve = [{**asdict(row), "extra": sorted(row.extra.items()), "seconds": None} for row in store.curve(run)]
    result = {**vars(store.result(run)), "seconds": None, "environment": None}
    return {"curve": repr(curve), "genome": result.pop("genome").tobytes(), "result": repr(sorted(result.items()))}


def faults(store: Store, job: int, expected: dict[str, Any]) -> list[str]:
    """What is wrong with a job that should have ended like another one: runs lost, ended twice, failed or different."""
    runs = store.runs(job=job)
    events = store.events(job=job, limit=1_000_000)
    ends = Counter(event.run for event in events if event.kind == "succeeded")
    wrong = [f"run {run.id} is {run.state}: {run.error or 'no error'}" for run in runs if run.state != "succeeded"]
    wrong += [f"run {run.id} succeeded {ends[run.id]} times" for run in runs if ends[run.id] != 1]
    wrong += [f"run {run.id} counts {run.failures} failures" for run in runs if run.failures]
    if len(runs) != len(expected):
        wrong.append(f"job {job} has {len(runs)} runs, not {len(expected)}")
    return wrong or [f"{name} differs" for name, what in outcome(store, job).items() if what != expected[name]]
