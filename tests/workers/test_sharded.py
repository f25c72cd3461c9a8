"""One large population over several processes: the same bits as in one, whoever computes what and whoever dies."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, astuple, replace
from typing import Any

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from local_shards import LocalShardPool, LocalShardWorker

from evornn.experiments.execute import execute
from evornn.experiments.spec import parse_spec, plan
from evornn.networks.network import Network
from evornn.service.executors.executor import Assignment, Attempt, EndEvent
from evornn.tasks import TASKS
from evornn.tasks.core.task import Sequences
from evornn.trainers.core.query import Answer, Kind, Query, Window
from evornn.training.environment import versions
from evornn.training.make_problem import make_problem
from evornn.training.problem import Problem, Sharder
from evornn.workers import shard_pool, sharded
from evornn.workers.sharded import ShardedProblem, partition

SIZES = (1, 32, 33, 34, 64, 65, 100, 193)
NETWORKS: dict[str, dict[str, Any]] = {
    "lstm": {},
    "elman": {"backend": "torch"},
    "gru": {"layers": 2},
    "echo_state": {"units": 20},
    "history_compressor": {},
}


@pytest.fixture(autouse=True)
def everything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharded, "MIN_SHARDED_COST", 0)


# ---- how a population is cut -----------------------------------------------------------------------------------------


@given(st.integers(1, 5000), st.integers(1, 40), st.sampled_from([16, 32, 1024]))
def test_parts_are_whole_tiles_and_nobody_is_left_alone(count: int, shards: int, tile: int) -> None:
    parts = partition(count, shards, tile)
    assert [k for part in parts for k in range(part.start, part.stop)] == list(range(count))
    sizes = [part.stop - part.start for part in parts]
    assert len(parts) <= shards and all(part.start % tile == 0 for part in parts)
    assert min(sizes) > 1 or count == 1
    assert max(sizes) - min(sizes) <= 2 * tile


# ---- questions -------------------------------------------------------------------------------------------------------


def asked(kind: str, **settings: Any) -> Problem:
    data = TASKS.build({"kind": "adding", "length": 10, "train": 20, "valid": 5, "test": 5}).data()
    network = Network(kind, inputs=2, outputs=1, **{"units": 4, **settings})
    return make_problem(network, data.train, "mse")


def same(found: Any, expected: Any) -> None:
    """Whatever an answer is made of."""
    if isinstance(expected, np.ndarray):
        assert found.dtype == expected.dtype and found.shape == expected.shape
        assert found.tobytes() == expected.tobytes()
    elif isinstance(expected, Answer):
        same(astuple(found), astuple(expected))
    elif isinstance(expected, dict):
        assert list(found) == list(expected)
        same(list(found.values()), list(expected.values()))
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            same(one, other)
    else:
        assert found == expected


def crew_of(count: int) -> LocalShardPool:
    """The first of them dies at the second question."""
    return LocalShardPool(*(LocalShardWorker(mortal=None if k else 2) for k in range(count)))


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("helpers", [1, 2, 4])
def test_answers_are_those_of_one_process(kind: str, helpers: int) -> None:
    whole = asked(kind, **NETWORKS[kind])
    team = crew_of(helpers)
    spread = ShardedProblem(whole, team)
    gradients = whole.network.differentiable
    for size in SIZES:
        genomes = whole.network.sample(size, seed=size)
        for batch in (None, np.array([3, 1, 4, 1, 5, 9, 2, 6, 12, 11])):
            queries = [Query(genomes, batch=batch)]
            if gradients:
                queries.append(Query(genomes, Kind.GRADIENTS, batch))
            if kind == "echo_state":
                queries.append(Query(genomes, Kind.READOUTS, batch, 1e-3))
            for query in queries:
                same(spread.answer(query), whole.answer(query))
    assert all(worker.questions for worker in team.workers)


@pytest.mark.parametrize("kind", ["lstm", "elman"])
def test_windows_carry_each_member_its_state(kind: str) -> None:
    series = np.random.default_rng(0).standard_normal((2, 10, 30, 1)).astype(np.float32)
    network = Network(kind, inputs=1, units=4, outputs=1, **NETWORKS[kind])
    whole = make_problem(network, Sequences(series[0], series[1], np.ones((10, 30), bool)), "mse")
    team = crew_of(2)
    spread = ShardedProblem(whole, team)
    genomes, begin = network.sample(100, seed=0), 0
    carry, carried, windows = None, None, 0
    while begin is not None:
        query = Query(genomes, Kind.WINDOW, window=Window(begin, 8, carry=carry))
        query = replace(query, segment=whole.segment(query))
        ours = spread.answer(query)
        theirs = whole.answer(replace(query, window=replace(query.window, carry=carried)))
        same(ours, theirs)
        begin, carry, carried, windows = theirs.end, ours.carry, theirs.carry, windows + 1
    assert windows > 2 and team.workers[1].questions == windows


@pytest.mark.parametrize(("fitness", "spreads"), [("standard", True), ("damping", False)])
def test_episodes_unless_the_best_of_all_is_tested(fitness: str, spreads: bool) -> None:
    settings = {"kind": "double_pole", "velocities": False, "fitness": fitness, "steps": 1_000}
    data = TASKS.build(settings).data()
    inputs, outputs = data.sizes
    network = Network("elman", inputs=inputs, units=3, outputs=outputs)
    whole, team = make_problem(network, data.train, data.loss), crew_of(2)
    spread = ShardedProblem(whole, team)
    genomes = network.sample(130, seed=2)
    same(spread.losses(genomes), whole.losses(genomes))
    assert spread.is_separable == spreads == any(worker.questions for worker in team.workers)


def test_little_work_stays_here(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, team = asked("lstm"), crew_of(1)
    spread = ShardedProblem(whole, team)
    genomes = whole.network.sample(64, seed=0)
    work = len(genomes) * whole.min_cost(Query(genomes)) * whole.network.n
    for worth, sent in ((work + 1, 0), (work, 1)):
        monkeypatch.setattr(sharded, "MIN_SHARDED_COST", worth)
        spread.losses(genomes)
        assert team.workers[0].questions == sent
    spread.losses(genomes[:32])  # one tile can't be cut
    assert team.workers[0].questions == 1


# ---- whole runs ------------------------------------------------------------------------------------------------------

TRAINERS: list[dict[str, Any]] = [
    {"kind": "cma_es", "population": 100},
    {"kind": "adam", "restarts": 70, "batch": 10},
    {"kind": "adam", "restarts": 70, "batch": 10, "truncate": 3},
    {"kind": "memetic", "evolve": {"kind": "snes", "population": 70}, "refine": {"kind": "adam", "batch": 10}},
    {"kind": "evolino", "evolve": {"kind": "cma_es", "population": 70}},
]


def fragments(trainer: dict[str, Any], budget: int, **resources: Any) -> dict[str, Any]:
    spec = {
        "name": "sharded",
        "tasks": [{"kind": "adding", "length": 10, "train": 20, "valid": 5, "test": 5}],
        "networks": [{"kind": "elman", "units": 4}],
        "trainers": [trainer],
        "seeds": 1,
        "budget": {"steps": budget, "marks": 10},
        "resources": resources,
    }
    (run,) = plan(parse_spec(spec))
    return {"fragments": run.fragments, "seed": run.seed, "budget": run.budget}


def outcome(run: dict[str, Any], spread: Sharder | None = None) -> tuple[Any, ...]:
    """All but times and machine."""
    updates = list(execute(**run, sharder=spread))
    rows = [{**asdict(row), "seconds": 0} for update in updates for row in update.rows]
    assert updates[-1].result is not None
    result = {**asdict(updates[-1].result), "seconds": 0, "environment": {}}
    return rows, result.pop("genome").tobytes(), result


@pytest.mark.parametrize("trainer", TRAINERS, ids=lambda trainer: "".join(map(str, trainer.values()))[:12])
def test_a_run_finds_the_same(trainer: dict[str, Any]) -> None:
    run = fragments(trainer, 1_000_000)
    expected = outcome(run)
    team = crew_of(2)
    assert repr(outcome(run, lambda whole: ShardedProblem(whole, team))) == repr(expected)
    assert all(worker.questions > 2 for worker in team.workers)


def test_a_regularised_run_finds_the_same() -> None:
    run = fragments(TRAINERS[-1], 500_000)
    settings = {"weight_decay": 0.01, "input_noise": 0.1, "dropout": 0.2}
    network = {"kind": "elman", "units": 4, "layers": 2}
    run["fragments"] = {**run["fragments"], "network": network, "regularisation": settings}
    team = crew_of(2)
    assert repr(outcome(run, lambda whole: ShardedProblem(whole, team))) == repr(outcome(run))
    assert all(worker.questions > 2 for worker in team.workers)


def test_shards_are_counted() -> None:
    for shards in (0, 1.5, "many", 10**6):
        with pytest.raises(Exception, match=r"resources\.shards"):
            fragments(TRAINERS[0], 1_000_000, shards=shards)


# ---- on Ray ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    from evornn.workers import cluster

    with cluster.executor(workers=3) as executor:
        yield executor


def helpers() -> list[psutil.Process]:
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            found += [process] if any("ray::ShardActor" in word for word in process.cmdline()) else []
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("trainer", "count"), [(TRAINERS[0], 2), (TRAINERS[1], 1)], ids=["cma_es", "adam"])
def test_helpers_are_killed_in_mid_run(cluster: Any, trainer: dict[str, Any], count: int) -> None:
    """Each of one or two helpers dies once."""
    run = fragments(trainer, 2_000_000)
    with shard_pool.ray_sharder({"shards": count + 1, "cpus": 1}) as spread:
        assert spread is not None
        watched = Watched(spread, count)
        assert repr(outcome(run, watched)) == repr(outcome(run))
    assert watched.killed == count and watched.answered > 3


class Watched:
    """A way to spread that waits for helpers now and then, and kills some."""

    def __init__(self, spread: Sharder, count: int) -> None:
        self.spread, self.count, self.killed, self.answered, self.calls = spread, count, 0, 0, 0

    def __call__(self, whole: Problem) -> Problem:
        found: Any = self.spread(whole)
        present, crew = found.pool.ready_workers, found.pool

        def watched() -> Any:
            self.calls += 1
            there, deadline = present(), time.monotonic() + 120
            while self.calls % 10 == 1 and len(there) < self.count:
                assert time.monotonic() < deadline, "no helper was ready: was the checkout changed in the meantime?"
                time.sleep(0.01)
                there = present()
            if self.calls in (12, 13) and self.killed < self.count:  # they have answered; now they die, asked
                helpers()[0].kill()
                self.killed += 1
            self.answered += len(there)
            return there

        crew.ready_workers = watched
        return found


@pytest.mark.slow
def test_a_problem_that_kills_its_helpers_is_computed_alone(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard_pool, "MAX_LOST_WORKERS", 2)
    whole = asked("elman", backend="torch")
    crew = shard_pool.RayShardPool(1, {"num_cpus": 1})
    spread, genomes = ShardedProblem(whole, crew), whole.network.sample(70, 0)
    for lost in (0, 1):
        while not crew.ready_workers():
            pass
        assert crew.num_lost == lost
        helpers()[0].kill()
        same(spread.losses(genomes), whole.losses(genomes))
    assert crew.ready_workers() == [] and crew.num_lost == 2
    crew.close()


@pytest.mark.slow
def test_no_helper_is_waited_for(cluster: Any) -> None:
    """Where no CPU is free for them, a run goes on alone."""
    whole = asked("elman", backend="torch")
    crew = shard_pool.RayShardPool(1, {"num_cpus": 4})
    same(ShardedProblem(whole, crew).losses(whole.network.sample(70, 0)), whole.losses(whole.network.sample(70, 0)))
    assert crew.ready_workers() == [] and crew.num_lost == 0
    crew.close()


@pytest.mark.slow
def test_a_helper_of_another_build_is_not_asked(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    own = shard_pool.fingerprint()
    monkeypatch.setattr(shard_pool, "fingerprint", lambda: {**own, "cpu": "Z80"})
    monkeypatch.setattr(shard_pool, "MAX_LOST_WORKERS", 1)
    crew = shard_pool.RayShardPool(1, {"num_cpus": 1})
    crew.broadcast(asked("elman", backend="torch"))
    while not crew.num_lost:
        assert crew.ready_workers() == []
    crew.close()


@pytest.mark.slow
def test_the_executor_spreads_a_run(cluster: Any) -> None:
    run = fragments(TRAINERS[0], 2_000_000, shards=3)
    cluster.start(Assignment(Attempt(1, 1), **run, checkpoint=None, origin=None))
    result = None
    while result is None:
        for event in cluster.events(0.2):
            assert not isinstance(event, EndEvent), event.reason
            result = event.update.result
    assert result.genome.tobytes() == outcome(run)[1]


# ---- versions --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_worker_with_another_evornn_refuses_a_run_at_once(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    from evornn.workers.remote import compute

    run = Assignment(Attempt(2, 1), **fragments(TRAINERS[0], 100_000), checkpoint=None, origin=None)
    (told,) = [ray.get(event) for event in compute.remote(run, {**versions(), "evornn": "9.9"})]
    assert isinstance(told, EndEvent) and not told.retry and told.cause == "error"
    assert "the dispatcher 9.9: install the same on all machines" in told.reason
    other = {**versions(), "libraries": {**versions()["libraries"], "numpy": "1.0"}}
    result = [ray.get(event) for event in compute.remote(run, other)][-1].update.result
    assert [
        line
        for line in result.environment["unlike the dispatcher"]
        if "numpy" in line and "1.0 on the dispatcher" in line
    ]
    assert result.genome.tobytes() == outcome(fragments(TRAINERS[0], 100_000))[1]
