"""What Ray, dispatcher and store cost: per question to a helper, per run, per word that a run says."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from evornn.errors import EvornnError
from evornn.experiments.execute import execute
from evornn.experiments.spec import parse_spec, plan
from evornn.service.dispatch.dispatcher import Dispatcher
from evornn.service.executors.executor import Assignment, Attempt, Executor, ExecutorEvent, ProgressEvent, ResourceSet
from evornn.service.executors.local_executor import LocalExecutor
from evornn.service.progress import JobProgress
from evornn.service.service import submit
from evornn.store.records import Machine, NewRun
from evornn.store.store import Store
from evornn.trainers.core.query import Query
from evornn.training.make_problem import make_problem
from evornn.training.records import Checkpoint, Result, Row, Update


def call(network: Any, asked: Any, most: int, quick: bool) -> dict[str, Any]:
    """Milliseconds that a question to a helper takes, and what it takes here: for one tile and for `most` members."""
    from evornn.workers.shard_pool import RayShardPool

    judged = make_problem(network, asked, "mse")
    crew, ms = RayShardPool(1, {"num_cpus": 1}), {}
    crew.broadcast(judged)
    worker = wait_for_workers(crew)[0]
    for members in (32, most):
        genomes = network.sample(members, seed=0)
        query = Query(genomes)
        there = [seconds_of(lambda q=query: worker.submit(q)()) for _ in range(30 if quick else 300)]  # type: ignore[misc]
        here = [seconds_of(lambda g=genomes: judged.losses(g)) for _ in range(30)]  # type: ignore[misc]
        ms[f"{members:,} members"] = {"there": 1000 * median(there), "here": 1000 * median(here)}
    crew.close()
    return {"parameters": network.n, "ms": ms}


def wait_for_workers(crew: Any) -> Any:
    """All helpers, once they are there. Raises EvornnError when one is lost."""
    while len(helpers := crew.ready_workers()) < crew.count:
        if crew.num_lost:
            raise EvornnError("a helper was lost: leave the source tree alone while this runs")
    return helpers


def empty_runs(store: Store, ray: Executor, spec: Callable[..., dict[str, Any]], quick: bool) -> dict[str, Any]:
    """Milliseconds of a worker per run that computes next to nothing."""
    count = 20 if quick else 200
    local = LocalExecutor()
    data = spec(20_000, 1, {"kind": "weight_guessing", "population": 4}, marks=1)
    ms = {}
    for name, executor, workers in (("ray", ray, 2), ("thread", local, 1)):
        dispatch_seconds(store, executor, {**data, "seeds": 4})
        ms[name] = 1000 * workers * dispatch_seconds(store, executor, {**data, "seeds": count}) / count
    (run, *_) = plan(parse_spec(data))
    ms["computing"] = 1000 * median(
        seconds_of(lambda: list(execute(run.fragments, run.seed, run.budget))) for _ in range(10)
    )
    local.close()
    return {"count": count, "ms": ms}


def updates(store: Store, quick: bool) -> dict[str, Any]:
    """Rows a second that one dispatcher hears and the store keeps, each from another run than the one before."""
    runs, marks = (100, 10) if quick else (1000, 30)
    fragments = {"task": {"kind": "adding"}, "network": {"kind": "elman"}, "trainer": {"kind": "adam"}}
    new = [NewRun("adding", "elman", "adam", fragments, k, {"steps": 1000}, k, 17) for k in range(runs)]
    job = store.submit({"name": "talk"}, new)
    talking, listener = TalkingExecutor(runs, marks), JobProgress(store.runs(job=job))
    seconds = seconds_of(lambda: Dispatcher(store, talking, listener).work(job))
    assert store.job(job).counts == {"succeeded": runs}
    return {"runs": runs, "rows": marks, "seconds": seconds, "per_second": runs * marks / seconds}


class TalkingExecutor:
    """An executor whose runs say a row with a checkpoint whenever they are heard, and compute nothing."""

    def __init__(self, runs: int, marks: int) -> None:
        self.runs, self.marks = runs, marks
        self.marks_sent: dict[Attempt, int] = {}

    @property
    def available_resources(self) -> ResourceSet:
        return ResourceSet(self.runs - len(self.marks_sent), 0)

    @property
    def machines(self) -> list[Machine]:
        return []

    def start(self, assignment: Assignment) -> None:
        self.marks_sent[assignment.attempt] = 0

    def events(self, timeout: float) -> list[ExecutorEvent]:
        events: list[ExecutorEvent] = [
            ProgressEvent(attempt, self._update(mark + 1)) for attempt, mark in self.marks_sent.items()
        ]
        self.marks_sent = {attempt: mark + 1 for attempt, mark in self.marks_sent.items() if mark + 1 < self.marks}
        return events

    def stop(self, attempt: Attempt, force: bool = True) -> None:
        self.marks_sent.pop(attempt, None)

    def close(self) -> None: ...

    def _update(self, mark: int) -> Update:
        losses = {name: 1.0 / mark for name in ("best", "mean", "median", "q25", "q75", "valid", "champion_valid")}
        row = Row(mark=mark, network_steps=mark, evaluations=mark, updates=mark, seconds=0.5, **losses)
        checkpoint = Checkpoint(mark, {"mean": np.zeros(100, np.float32)}, {"step": mark})
        return Update([row], checkpoint, RESULT if mark == self.marks else None, network_steps=mark)


RESULT = Result(np.zeros(100, np.float32), 1.0, 1.0, 1.0, 1000, 100, 10, 1.0, "budget", {})


def dispatch_seconds(store: Store, executor: Executor, data: dict[str, Any]) -> float:
    """Seconds from the first claim to the last result."""
    job = submit(store, data)
    listener = JobProgress(store.runs(job=job))
    seconds = seconds_of(lambda: Dispatcher(store, executor, listener).work(job))
    assert set(store.job(job).counts) == {"succeeded"}
    return seconds


def seconds_of(work: Callable[[], Any]) -> float:
    start = perf_counter()
    work()
    return perf_counter() - start
