"""What references and the network by hand have reached, kept as JSON beside the store: a second call computes what is
missing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.references import by_hand, simple
from benchmarks.references.ours import task
from benchmarks.references.parts import BY_HAND, Candidate, Set
from benchmarks.references.scores import Answers, Outcome, score
from evornn import files
from evornn.tasks import TASKS
from evornn.tasks.core.task import Data


class Kept:
    """A file of JSON, written after each new value."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.values: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}

    def get(self, key: str, compute: Callable[[], Any]) -> Any:
        """The value of a key, computed if it isn't there."""
        if key not in self.values:
            print(f"{key} ...", flush=True)
            self.values[key] = compute()
            files.write(self.path, json.dumps(self.values, indent=1).encode())
        return self.values[key]


def run(one: Set, folder: Path, kept: Kept) -> None:
    """Compute what is missing of a set."""

    def data(candidate: Candidate) -> Data:
        return TASKS.build(task(one, folder, candidate.task)).data()

    for method, seeds in simple.methods(one):
        for seed in seeds:
            _keep(one, method, seed, folder, kept, "", partial(simple.answer, method, one, folder, seed))
    if is_by_hand(one):
        chosen = choose(one, kept, lambda candidate, seed: by_hand.train(data(candidate), one, candidate, seed)[1])
        for seed in one.seeds:
            settings, compute = chosen.settings(), partial(by_hand.answer, data(chosen), one, chosen, seed)
            _keep(one, BY_HAND, seed, folder, kept, settings, compute)


def is_by_hand(one: Set) -> bool:
    """Whether a set is also answered by torch alone: forecasts are."""
    return bool(one.task["kind"] == "forecast")


def choose(one: Set, kept: Kept, validate: Callable[[Candidate, int], float]) -> Candidate:
    """The candidate with the lowest median validation loss over the seeds of the search."""

    def loss(candidate: Candidate) -> float:
        key = f"{_name(one, BY_HAND, None)}: search, {candidate.settings()}"
        return median(kept.get(f"{key}, seed {seed}", partial(validate, candidate, seed)) for seed in one.search_seeds)

    return min(one.candidates(BY_HAND), key=loss)


def outcomes(one: Set, kept: Kept) -> list[Outcome]:
    """What is there of a set."""
    known = [(method, seed) for method, seeds in simple.methods(one) for seed in seeds]
    known += [(BY_HAND, seed) for seed in one.seeds] if is_by_hand(one) else []
    keys = [_name(one, *which) for which in known]
    return [Outcome(**kept.values[key]) for key in keys if key in kept.values]


def _keep(
    one: Set, method: str, seed: int | None, folder: Path, kept: Kept, settings: str, compute: Callable[[], Answers]
) -> None:
    def outcome() -> dict[str, Any]:
        answers = compute()
        return asdict(Outcome(one.name, method, seed, settings, answers.seconds, score(task(one, folder), answers)))

    kept.get(_name(one, method, seed), outcome)


def _name(one: Set, method: str, seed: int | None) -> str:
    size = f" ({one.units} units, {one.steps:,} steps)" if method == BY_HAND else ""
    return f"{one.name}, {method}{size}" + ("" if seed is None else f", seed {seed}")
