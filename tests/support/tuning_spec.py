"""A tuning that takes seconds, and its runs without what differs from attempt to attempt."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from evornn.store.records import StoredRun
from evornn.store.store import Store

RATE = {"from": 1e-3, "to": 1e-1, "scale": "log"}
TUNING_SPEC: dict[str, Any] = {
    "name": "small",
    "tasks": [{"kind": "adding", "length": 10, "train": 20, "valid": 10, "test": 10}],
    "networks": [{"kind": "elman", "units": {"from": 2, "to": 5}}],
    "trainers": [
        {"kind": "adam", "learning_rate": RATE, "batch": {"choose": [4, 8]}},
        {"kind": "snes", "population": {"from": 4, "to": 8}},
    ],
    "seeds": 2,
    "budget": {"steps": 8_000, "marks": 4},
    "tuning": {"trials": 5, "seeds": 2, "batch": 2, "budget": {"steps": 4_000, "marks": 2}},
}


def strip_attempt(run: StoredRun) -> StoredRun:
    """A run without what differs from try to try."""
    return replace(
        run, lease=0, lease_owner=None, lease_until=None, created=0.0, started=None, finished=None, seconds=None
    )


def final_runs(store: Store) -> list[StoredRun]:
    return [strip_attempt(run) for run in store.runs()]
