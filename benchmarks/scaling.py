"""How far two workers are from twice as fast as one, and what Ray and the store cost per run and per generation.

    python -m benchmarks.scaling [--quick] [--json FILE]

`runs`: equal runs of a job, per minute, through dispatcher, store (SQLite) and a Ray of this machine with 1 and with 2
CPUs, in turns. `population`: one run of 4,096 members whose generations take about 50 ms alone, with `shards` 1 and 2,
in turns; bits are compared. Efficiency is the speed of two over twice that of one. `call`: a question to a helper,
beside the same one here. `run`: an empty run through Ray and through a thread of this process. `updates`: what one
dispatcher and its store take from runs that only talk.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.costs import call, dispatch_seconds, empty_runs, seconds_of, updates, wait_for_workers
from evornn.experiments.execute import build_network_for, execute, load
from evornn.experiments.spec import parse_spec, plan
from evornn.store.store import open_store
from evornn.training.environment import machine
from evornn.training.make_problem import make_problem
from evornn.workers import cluster

MEMBERS, GENERATION = 4096, 0.050  # seconds, alone
TASK: dict[str, Any] = {"kind": "adding", "length": 50, "train": 48, "valid": 16, "test": 16}
NETWORK: dict[str, Any] = {"kind": "elman", "units": 8}
POPULATIONS: tuple[dict[str, Any], ...] = (
    {"kind": "openai_es", "population": MEMBERS},
    {"kind": "cma_es", "population": MEMBERS},
)
AIMS = {"runs": 0.9, "population": 0.8}


def main(given: Sequence[str] | None = None) -> int:
    """Print all, and write it to a file if asked."""
    parser = argparse.ArgumentParser("python -m benchmarks.scaling", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs, fewer rounds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the result there")
    options = parser.parse_args(given)
    cluster.prepare(None)
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        rows = {"runs": runs(Path(folder), options.quick), **alone_and_together(Path(folder), options.quick)}
    result = {"machine": {**machine(), "load_before": load_before}, **rows}
    print("\n".join(lines(result)))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


# ---- many runs -------------------------------------------------------------------------------------------------------


def runs(folder: Path, quick: bool) -> dict[str, Any]:
    """Runs per minute with 1 and 2 CPUs."""
    count, steps, rounds = (4, 40_000_000, 1) if quick else (10, 400_000_000, 3)
    minutes: dict[int, list[float]] = {1: [], 2: []}
    for number in range(rounds):
        for workers in (1, 2):
            with (
                open_store(f"sqlite:///{folder}/{workers}-{number}.db") as store,
                cluster.executor(workers=workers) as ray,
            ):
                dispatch_seconds(
                    store, ray, spec(steps // 10, seeds=workers)
                )  # worker processes start, kernels are loaded
                minutes[workers].append(dispatch_seconds(store, ray, spec(steps, seeds=count)) / 60)
    rates = {workers: count / median(samples) for workers, samples in minutes.items()}
    return {
        "count": count,
        "seconds": {workers: [60 * m for m in samples] for workers, samples in minutes.items()},
        "per_minute": rates,
        "efficiency": rates[2] / (2 * rates[1]),
    }


def spec(steps: int, seeds: int, trainer: dict[str, Any] | None = None, marks: int = 20) -> dict[str, Any]:
    trainers = [trainer or {"kind": "cma_es", "population": 64}]
    budget = {"steps": steps, "marks": marks}
    parts = {"tasks": [TASK], "networks": [NETWORK], "trainers": trainers, "seeds": seeds, "budget": budget}
    return {"name": "scaling", **parts}


# ---- one population --------------------------------------------------------------------------------------------------


def alone_and_together(folder: Path, quick: bool) -> dict[str, Any]:
    """All that one Ray with two CPUs is enough for."""
    with cluster.executor(workers=2) as ray, open_store(f"sqlite:///{folder}/runs.db") as store:
        results = {
            "population": [population(trainer, quick) for trainer in POPULATIONS],
            "call": call(*parts({**TASK, "train": 1, "length": 10}), MEMBERS // 2, quick),
        }
        return {**results, "run": empty_runs(store, ray, spec, quick), "updates": updates(store, quick)}


def population(trainer: dict[str, Any], quick: bool) -> dict[str, Any]:
    """Milliseconds per generation of a large population, alone and in two shards."""
    rounds, generations = (2, 10) if quick else (5, 40)
    task = {**TASK, "train": sequences()}
    times: dict[int, list[float]] = {1: [], 2: []}
    genomes = set()
    for _ in range(rounds):
        for shards in (1, 2):
            seconds, genome = generation(trainer, task, generations, shards)
            times[shards].append(1000 * seconds)
            genomes.add(genome)
    assert len(genomes) == 1, "two shards find other bits than one"
    ms = {shards: median(samples) for shards, samples in times.items()}
    sizes = {"members": MEMBERS, "sequences": task["train"], "length": task["length"]}
    return {"trainer": trainer["kind"], **sizes, "ms": ms, "all_ms": times, "efficiency": ms[1] / (2 * ms[2])}


def sequences() -> int:
    """How many of them the population needs about 50 ms for, in multiples of 16, on one CPU."""
    network, asked = parts(TASK)
    genomes = network.sample(MEMBERS, seed=0)
    judged = make_problem(network, asked, "mse")
    once = min(seconds_of(lambda: judged.losses(genomes)) for _ in range(5))
    return max(16, 16 * round(len(asked) * GENERATION / once / 16))


def parts(task: dict[str, Any]) -> tuple[Any, Any]:
    """Network and training data of a task."""
    data = load(json.dumps(task))[1]
    return build_network_for({"network": NETWORK}, data), data.train


def generation(trainer: dict[str, Any], task: dict[str, Any], generations: int, shards: int) -> tuple[float, bytes]:
    """Seconds per generation once all helpers are there, and the champion."""
    from evornn.workers.shard_pool import ray_sharder

    each = MEMBERS * task["train"] * task["length"]
    data = {**spec((2 * generations + 2) * each, 1, trainer, marks=2), "tasks": [task]}
    (run,) = plan(parse_spec(data))
    with ray_sharder({"shards": shards}) as spread:
        steady = None if spread is None else lambda whole: wait_until_ready(spread(whole))
        updates = list(execute(run.fragments, run.seed, run.budget, sharder=steady))
    (first, last) = [row for update in updates for row in update.rows]
    assert updates[-1].result is not None
    seconds = (last.seconds - first.seconds) / (last.updates - first.updates)
    return seconds, updates[-1].result.genome.tobytes()


def wait_until_ready(sharded: Any) -> Any:
    """The same problem, once its helpers are there: their start is not measured."""
    wait_for_workers(sharded.pool)
    return sharded


# ---- what is told ----------------------------------------------------------------------------------------------------


def lines(result: dict[str, Any]) -> list[str]:
    runs, call, run = result["runs"], result["call"], result["run"]
    told = [
        f"runs        {runs['per_minute'][1]:.1f} a minute with one worker, {runs['per_minute'][2]:.1f} with two: "
        f"{verdict(runs['efficiency'], AIMS['runs'])}"
    ]
    for row in result["population"]:
        told.append(
            f"population  {row['members']:,} members, {row['trainer']}: {row['ms'][1]:.1f} ms a generation alone, "
            f"{row['ms'][2]:.1f} in two shards: {verdict(row['efficiency'], AIMS['population'])}"
        )
    for members, ms in call["ms"].items():
        told.append(f"call        {members}: {ms['there']:.2f} ms there, {ms['here']:.2f} here")
    ms, talk = run["ms"], result["updates"]
    told.append(
        f"empty run   {ms['ray']:.1f} ms on Ray, {ms['thread']:.1f} in a thread, {ms['computing']:.1f} of computing"
    )
    told.append(f"updates     {talk['per_second']:,.0f} a second from {talk['runs']:,} runs at once, by one dispatcher")
    return told


def verdict(efficiency: float, aim: float) -> str:
    return f"efficiency {efficiency:.0%} ({'met' if efficiency >= aim else 'missed'}: {aim:.0%})"


if __name__ == "__main__":
    raise SystemExit(main())
