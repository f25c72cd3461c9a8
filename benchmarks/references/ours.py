"""evornn's runs of a set, all in a store: a search over settings on validation data, then the runs that are judged."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.references.parts import METHODS, Candidate, Fragment, Set
from benchmarks.references.scores import Answers, Outcome, score, validation_loss
from benchmarks.stored import compute, job_of
from evornn.errors import EvornnError
from evornn.service.progress import progress
from evornn.service.reading.results import Results, RunResults
from evornn.service.service import Service
from evornn.store.records import StoredRun
from evornn.store.store import Store

watch = partial(progress, quiet=False)


def run(one: Set, folder: Path, store: Store, workers: int | None) -> None:
    """Compute what is missing of a set. Raises EvornnError for runs that failed."""
    compute([search_spec(one, method, folder) for method in METHODS], store, workers, watch)
    for method in METHODS:
        chosen = choose(one, method, folder, store)
        if chosen is None:
            raise EvornnError(f"{one.name}: the search of {method} has failed: evornn ls --store {store.display_url}")
        compute(final_specs(one, method, chosen, folder), store, workers, watch)


# ---- what is run -----------------------------------------------------------------------------------------------------


def search_spec(one: Set, method: str, folder: Path) -> Fragment:
    """All candidates, with the seeds of the search. Of a cross-validation two folds stand for two seeds."""
    candidates = one.candidates(method)
    folds = splits(one, one.search_seeds[0])[: len(one.search_seeds)]
    return _spec(
        f"{one.name}, {method}: search",
        [task(one, folder, {**own, **split}) for own in _distinct(c.task for c in candidates) for split in folds],
        _distinct(candidate.network for candidate in candidates),
        _distinct(candidate.trainer for candidate in candidates),
        one.search_seeds[:1] if one.folds else one.search_seeds,
        one.budget,
    )


def final_specs(one: Set, method: str, chosen: Candidate, folder: Path) -> list[Fragment]:
    """The runs that are judged; of a cross-validation one spec for each seed, which also splits the data."""
    groups = [(seed,) for seed in one.seeds] if one.folds else [one.seeds]
    return [
        _spec(
            f"{one.name}, {method}: final" + (f", split {seeds[0]}" if one.folds else ""),
            [task(one, folder, {**chosen.task, **split}) for split in splits(one, seeds[0])],
            [chosen.network],
            [chosen.trainer],
            seeds,
            one.budget,
        )
        for seeds in groups
    ]


def splits(one: Set, seed: int) -> list[Fragment]:
    """What the tasks of a seed change: all folds of its cross-validation, or nothing."""
    return [{"folds": one.folds, "fold": fold, "data_seed": seed} for fold in range(one.folds)] or [{}]


def task(one: Set, folder: Path, changes: Fragment | None = None) -> Fragment:
    """A set's task, whose file lies in the folder."""
    return {**one.task, "path": str(folder / one.task["path"]), **(changes or {})}


def _spec(name: str, tasks: Any, networks: Any, trainers: Any, seeds: Sequence[int], budget: Fragment) -> Fragment:
    parts = {"tasks": list(tasks), "networks": list(networks), "trainers": list(trainers)}
    return {"name": f"references: {name}", **parts, "seeds": list(seeds), "budget": budget}


def _distinct(fragments: Any) -> list[Fragment]:
    return list({_key(one): one for one in fragments}.values())


def _key(fragment: Any) -> str:
    return json.dumps(fragment, sort_keys=True)


# ---- what is chosen, and what came out -------------------------------------------------------------------------------


def choose(one: Set, method: str, folder: Path, store: Store) -> Candidate | None:
    """The candidate with the lowest median validation loss at the last steps; None: the search isn't complete."""
    runs = _runs(search_spec(one, method, folder), store)
    if not runs:
        return None
    results = Results(Service(store))
    losses = {
        _key(vars(candidate)): [_validation(results.run(run.id)) for run in runs if _is_of(run, candidate)]
        for candidate in one.candidates(method)
    }
    return min(one.candidates(method), key=lambda candidate: median(losses[_key(vars(candidate))]))


def _is_of(run: StoredRun, candidate: Candidate) -> bool:
    parts = run.fragments
    same = all(parts["task"].get(name) == value for name, value in candidate.task.items())
    return same and parts["network"] == candidate.network and parts["trainer"] == candidate.trainer


def _validation(run: RunResults) -> float:
    return validation_loss(run.data, run.network.predict(run.genome[None], run.data.valid.inputs)[0])


def outcomes(one: Set, method: str, folder: Path, store: Store) -> list[Outcome]:
    """What the champions reach on test, for each seed; empty: not all have run."""
    chosen = choose(one, method, folder, store)
    if chosen is None:
        return []
    found = [_runs(spec, store) for spec in final_specs(one, method, chosen, folder)]
    if not all(found):
        return []
    results, asked = Results(Service(store)), task(one, folder)
    runs = sorted((run for runs in found for run in runs), key=lambda run: run.seed)
    joined = [
        (seed, Answers.join([_answer(results.run(run.id)) for run in same]))
        for seed, same in groupby(runs, key=lambda run: run.seed)
    ]
    return [
        Outcome(one.name, method, seed, chosen.settings(), answers.seconds, score(asked, answers))
        for seed, answers in joined
    ]


def _answer(run: RunResults) -> Answers:
    outputs = run.network.predict(run.genome[None], run.data.test.inputs)[0]
    return Answers.of(run.data, outputs, run.result.seconds)


def _runs(spec: Fragment, store: Store) -> list[StoredRun]:
    """Of a spec, if all have succeeded."""
    job = job_of(spec, store)
    runs = [] if job is None else list(store.runs(job=job))
    return runs if all(run.state == "succeeded" for run in runs) else []
