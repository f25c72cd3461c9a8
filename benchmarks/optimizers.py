"""Evolutionary trainers against pycma, EvoTorch and evosax: how long an update takes, and how far it leads.

    python -m benchmarks.optimizers [--quick] [--peers ours,pycma,…] [--parts update,ert] [--json FILE]
                                    [--algorithms cma_es,snes,…] [--parameters 321,1185,4000] [--runs 100]

`update`: milliseconds of one generation of 256 points with 1,185 parameters (xNES: 200) whose losses cost nothing, so
that random numbers, sampling, sorting and learning are left; in turns, medians of the rounds, and milliseconds of CPU
time, which say more on a machine that others use. Ours computes on one BLAS
thread, since its results must not depend on their number; the others on all cores. `ert`: evaluations until a loss of
1e-8, of all runs for each that gets there, with bootstrapped 95 % intervals, on functions with a random optimum from
N(0, 1), started at N(0, 1). Ours and pycma restart with doubled populations; EvoTorch and evosax have no restarts.
Genomes are single precision in ours and in evosax, double in the others. Needs the extra `bench`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

import numpy as np

from benchmarks.kernels import check_installed, machine, prepare
from benchmarks.peer_optimizers import OURS, PEERS, Points
from benchmarks.timing import seconds
from evornn.arrays import Streams
from evornn.errors import EvornnError
from evornn.experiments.analysis.statistics import Runtimes, expected_running_time_interval, expected_running_time_ratio

N, POPULATION, TARGET = 1185, 256, 1e-8
SMALLER = {"xnes": 200}  # an eigendecomposition or a matrix exponential each generation


def sphere(z: Points) -> Points:
    return np.square(z).sum(axis=1)


def ellipsoid(z: Points) -> Points:
    return np.square(z) @ 10 ** np.linspace(0, 6, z.shape[1])


def rosenbrock(z: Points) -> Points:
    z = z + 1  # its optimum is at 1
    return (100 * np.square(z[:, 1:] - np.square(z[:, :-1])) + np.square(1 - z[:, :-1])).sum(axis=1)


def rastrigin(z: Points) -> Points:
    return (np.square(z) + 10 * (1 - np.cos(2 * np.pi * z))).sum(axis=1)


FUNCTIONS: dict[str, Callable[[Points], Points]] = {f.__name__: f for f in (sphere, ellipsoid, rosenbrock, rastrigin)}


class CountingFunction:
    """A function moved to a random optimum, that counts evaluations until the target."""

    def __init__(self, function: str, n: int, seed: int) -> None:
        self.function = FUNCTIONS[function]
        self.optimum = np.random.default_rng([seed, n]).standard_normal(n).astype(np.float32)
        self.spent, self.reached = 0, False

    def __call__(self, points: Points) -> Points:
        losses = self.function(points.astype(np.float64) - self.optimum)
        if not self.reached:
            below = np.flatnonzero(losses <= TARGET)
            self.reached = len(below) > 0
            self.spent += int(below[0]) + 1 if self.reached else len(points)
        return losses


def main(given: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.optimizers", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds, runs and algorithms, 10 dimensions only")
    parser.add_argument("--peers", default=list(PEERS), type=lambda text: text.split(","), help="default: all")
    parser.add_argument("--parts", default=["update", "ert"], type=lambda text: text.split(","), help="default: both")
    parser.add_argument("--algorithms", type=lambda text: text.split(","), help="of the updates; default: all")
    parser.add_argument("--parameters", default=[N], type=lambda text: [int(n) for n in text.split(",")])
    parser.add_argument("--functions", default=list(FUNCTIONS), type=lambda text: text.split(","), help="default: all")
    parser.add_argument("--dimensions", type=lambda text: [int(n) for n in text.split(",")], help="default: 10,20")
    parser.add_argument("--runs", type=int, help="of each function; default: 20")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the result there")
    options = parser.parse_args(given)
    threads = len(os.sched_getaffinity(0))
    try:
        check_installed([name for name in options.peers if name not in ("ours", "pycma")])
    except EvornnError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    prepare(threads, ["jax"] if "evosax" in options.peers else [])
    rows = []
    parts = {"update": updates, "ert": running_times}
    for row in (row for part in options.parts for row in parts[part](options)):
        rows.append(row)
        print(line(row), flush=True)
    result = {"machine": machine(threads, float("nan"), ["numpy"]), "rows": rows}
    result["machine"].pop("peak_gflops")
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))
    return 0


def updates(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Rows of milliseconds, one per algorithm and number of parameters."""
    rounds = 3 if options.quick else 9
    algorithms = options.algorithms or (("cma_es", "snes", "genetic_algorithm") if options.quick else tuple(OURS))
    for algorithm, wanted in product(algorithms, options.parameters):
        n = min(wanted, SMALLER.get(algorithm, wanted))
        calls = {peer: call for peer in options.peers if (call := free(peer, algorithm, n)) is not None}
        times: dict[str, list[tuple[float, float]]] = {peer: [] for peer in calls}
        for call in calls.values():  # compiles, and lets the first generation be a special one
            call()
            call()
        for _ in range(rounds):
            for peer, call in calls.items():
                cpu = process_time()
                times[peer].append((1e3 * seconds(call), 1e3 * (process_time() - cpu)))
        told = {f"{peer}_ms": median(wall for wall, _ in samples) for peer, samples in times.items()}
        told |= {f"{peer}_cpu_ms": median(cpu for _, cpu in samples) for peer, samples in times.items()}
        yield {"what": "update", "algorithm": algorithm, "n": n, "population": POPULATION, "rounds": rounds, **told}


def free(peer: str, algorithm: str, n: int) -> Callable[[], None] | None:
    """A generation whose losses cost nothing."""
    losses = np.random.default_rng(0).standard_normal((64, 2 * POPULATION))
    count = [0]

    def objective(points: Points) -> Points:
        count[0] += 1
        return losses[count[0] % 64, : len(points)]

    return PEERS[peer](algorithm, objective, n, POPULATION, 0)


def running_times(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Rows of expected running times of the full CMA-ES, one per function and number of parameters."""
    for n in options.dimensions or ((10,) if options.quick else (10, 20)):
        for function in options.functions:
            limit = 100_000 if options.quick else 10_000 * n if function != "rastrigin" else 50_000 * n
            runs = options.runs or (5 if options.quick else 20)
            own = [peer for peer in options.peers if function != "rastrigin" or peer in ("ours", "pycma")]
            runtimes_by_peer = {peer: runtimes(peer, function, n, runs, limit) for peer in own}
            told = {peer: summarize(times, runtimes_by_peer.get("pycma")) for peer, times in runtimes_by_peer.items()}
            yield {"what": "ert", "function": function, "n": n, "runs": runs, "limit": limit, **told}


def runtimes(peer: str, function: str, n: int, runs: int, limit: int) -> Runtimes:
    """Of so many runs of a peer's CMA-ES, with seeds of their own."""
    outcomes = [run(peer, function, n, seed, limit) for seed in range(runs)]
    return Runtimes([cost for cost, _ in outcomes], [reached for _, reached in outcomes])


def summarize(times: Runtimes, reference: Runtimes | None) -> dict[str, Any]:
    """ERT in evaluations, its interval, its ratio to the reference's, and the share that reached the target."""
    streams = Streams(0, "benchmark")
    ert = expected_running_time_interval(*times, streams)
    told = {"ert": ert.value, "low": ert.low, "high": ert.high, "reached": sum(times.reached) / len(times.reached)}
    if reference is None:
        return told
    ratio = expected_running_time_ratio(times, reference, streams)
    return {**told, "ratio": ratio.value, "ratio_low": ratio.low, "ratio_high": ratio.high}


def run(peer: str, function: str, n: int, seed: int, limit: int) -> tuple[int, bool]:
    """What a run spent until it reached the target, or all that it spent."""
    objective = CountingFunction(function, n, seed)
    generation = PEERS[peer]("cma_es", objective, n, None, seed + 1)
    assert generation is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pycma's, about restarts
        while not objective.reached and objective.spent < limit:
            try:
                generation()
            except (ArithmeticError, RuntimeError, ValueError):  # a peer's covariance is not positive definite any more
                break
    return objective.spent, objective.reached


def line(row: dict[str, Any]) -> str:
    """A row in words."""
    if row["what"] == "update":
        own = [peer for peer in PEERS if f"{peer}_ms" in row]
        times = ", ".join(f"{peer} {row[f'{peer}_ms']:.3g} ({row[f'{peer}_cpu_ms']:.3g})" for peer in own)
        return f"update  {row['algorithm']} (n = {row['n']}, P = {row['population']}), ms (of CPU): {times}"
    by_peer = {peer: row[peer] for peer in PEERS if peer in row}
    told = [
        f"{peer} {f['ert']:,.0f} [{f['low']:,.0f}, {f['high']:,.0f}] {f['reached']:.0%}"
        + (f" {f['ratio']:.2f} [{f['ratio_low']:.2f}, {f['ratio_high']:.2f}]" if "ratio" in f else "")
        for peer, f in by_peer.items()
    ]
    return f"ERT  {row['function']} (n = {row['n']}, {row['runs']} runs): {', '.join(told)}"


if __name__ == "__main__":
    sys.exit(main())
