"""Closed loops of whole populations: evornn against JAX and torch, in one process and in turns.

    python -m benchmarks.control [--quick] [--json FILE]

Cart with two poles without velocities. `alive`: 1,024 fully recurrent networks of 5 units that all balance for 1,000
steps. `guessing`: networks of 1 unit with weights from U[−10, 10], which fail at different times, in episodes of at
most 1,000 steps. Rates are given per second, and per second of CPU time: on a machine that others use, the latter
says more. `solutions`: guessing until 50 networks have balanced for 100,000 steps. Needs the extra `bench`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np
import torch

from benchmarks.kernels import check_installed, machine, prepare
from benchmarks.timing import seconds
from evornn.arrays import Genome, Genomes
from evornn.errors import EvornnError
from evornn.kernels import closed_loop
from evornn.kernels.simd.runtime.control import SimdClosedLoop
from evornn.layout import Layout
from evornn.networks.architectures.fully_recurrent import FullyRecurrent
from evornn.plant import PlantTrace
from evornn.tasks.plants.poles import Poles

Call = Callable[[], Any]
RANGE, SOLVED = 10.0, 100_000


class Bench:
    """Sizes, the plant and how it is run with a number of threads."""

    def __init__(self, quick: bool, threads: int) -> None:
        self.quick, self.threads, self.plant = quick, threads, Poles().trace()
        self.rounds, self.members, self.steps = (3, 1024, 200) if quick else (7, 1024, 1000)
        self.guesses, self.longest, self.solutions = (16_384, 200, 5) if quick else (65_536, 1000, 50)
        self.hunted = 8192 if quick else 262_144  # guesses at a time of a hunt
        self.patience = 5 if quick else 120  # seconds of evaluating for it
        self.layouts = {units: Layout(FullyRecurrent(), 3, units, 1, 1, "zero") for units in (1, 5)}

    def run(self, layout: Layout, genomes: Genomes, steps: int) -> closed_loop.EpisodeResults:
        return control(layout, self.plant, self.threads).run(torch.from_numpy(genomes), steps)

    def guess(self, layout: Layout, count: int, rng: np.random.Generator) -> Genomes:
        return RANGE * (2 * rng.random((count, layout.n), np.float32) - 1)


@cache
def control(layout: Layout, plant: PlantTrace, threads: int) -> SimdClosedLoop:
    """Made once: its plant is compiled at the first run."""
    return SimdClosedLoop(layout, plant, threads)


def main(given: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.control", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="smaller workloads, 3 rounds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the result there")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="default: all cores")
    options = parser.parse_args(given)
    try:
        check_installed(["jax"])
    except EvornnError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    prepare(options.threads, ["jax"])
    bench = Bench(options.quick, options.threads)
    rows = [alive(bench), guesses := guess_failures(bench), solutions(bench, guesses["jax_formulation"])]
    result = {"machine": machine(options.threads, float("nan"), ["simd"]), "rows": rows}
    result["machine"].pop("peak_gflops")
    print("\n".join(lines(rows)))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))
    return 0


# ---- the workloads -------------------------------------------------------------------------------------------------


def alive(bench: Bench) -> dict[str, Any]:
    """Nobody fails: how many network steps a second."""
    layout = bench.layouts[5]
    genomes = np.tile(larger(bench, balancing_genome(bench), layout), (bench.members, 1))
    if (bench.run(layout, genomes, bench.steps).steps != bench.steps).any():
        raise EvornnError("the network that should balance does not: the workload is not what it says")
    agree(bench, layout, genomes)
    calls = contestants(bench, layout, genomes, bench.steps, None)
    return row("alive", [bench.members, 5, bench.steps], bench.members * bench.steps, "steps/s", calls, bench.rounds)


def guess_failures(bench: Bench) -> dict[str, Any]:
    """Members fail at different times: how many evaluations a second."""
    layout = bench.layouts[1]
    genomes = bench.guess(layout, bench.guesses, np.random.default_rng(1))
    agree(bench, layout, genomes)
    calls = contestants(bench, layout, genomes, bench.longest, bench.longest)
    return row("guessing", [bench.guesses, 1, bench.longest], bench.guesses, "evaluations/s", calls, bench.rounds)


def solutions(bench: Bench, formulation: str) -> dict[str, Any]:
    """Weight guessing until so many networks balance for 100,000 steps, by everybody with the same guesses; a peer that
    has not found them when its time is over stops. JAX in the formulation that was fastest before."""
    layout = bench.layouts[1]
    rows = {peer: hunt(bench, survive) for peer, survive in hunters(bench, layout, formulation)}
    rates = {peer: row["evaluations"] / row["seconds"] for peer, row in rows.items()}
    told = {"workload": "solutions", "unit": "evaluations/s", **rates, "hunts": rows, "jax_formulation": formulation}
    return {**told, "ratio_jax": rates["ours"] / rates["jax"]}


def hunters(bench: Bench, layout: Layout, formulation: str) -> Iterator[tuple[str, Callable[[Genomes], Any]]]:
    """(peer, guesses [P, n] → [P] steps survived)"""
    from benchmarks import peer_poles

    yield "ours", lambda genomes: bench.run(layout, genomes, SOLVED).steps[:, 0]
    jax = next(call for name, call in peer_poles.formulations(SOLVED) if name == formulation)
    yield "jax", lambda genomes: jax(layout, genomes, SOLVED)
    plant = bench.plant
    yield "torch", lambda genomes: closed_loop.run(layout, plant, torch.from_numpy(genomes), SOLVED).steps[:, 0]


def hunt(bench: Bench, survive: Callable[[Genomes], Any]) -> dict[str, Any]:
    """Solutions, evaluations, and seconds of evaluating; drawing is not counted."""
    layout, rng = bench.layouts[1], np.random.default_rng(2)
    survive(bench.guess(layout, bench.hunted, np.random.default_rng(3)))  # compiles
    solutions, evaluations, spent = 0, 0, 0.0
    while solutions < bench.solutions and spent < bench.patience:
        genomes, start = bench.guess(layout, bench.hunted, rng), perf_counter()
        steps = survive(genomes)
        spent += perf_counter() - start
        solutions, evaluations = solutions + int((steps >= SOLVED).sum()), evaluations + len(genomes)
    return {"solutions": solutions, "evaluations": evaluations, "seconds": spent}


def balancing_genome(bench: Bench) -> Genome:
    """[n] a network of one unit that balances for as long as the longest workload, found by guessing."""
    layout, rng = bench.layouts[1], np.random.default_rng(0)
    while True:
        genomes = bench.guess(layout, 65_536, rng)
        if len(survivors := np.nonzero(bench.run(layout, genomes, 2000).steps[:, 0] == 2000)[0]):
            return np.asarray(genomes[survivors[0]])


def larger(bench: Bench, genome: Genome, layout: Layout) -> Genome:
    """[n] the same behaviour with more units: the others have random weights, but don't feed the first one."""
    small, rng = bench.layouts[1], np.random.default_rng(0)
    made = (2 * rng.random(layout.n, np.float32) - 1).astype(np.float32)
    for name, block in layout.blocks.items():
        values = made[block.slice].reshape(block.shape)
        values[0] = 0
        own = genome[small.blocks[name].slice].reshape(small.blocks[name].shape)[0]
        values[(0, slice(own.size))[: values.ndim]] = own
    return made


# ---- peers ---------------------------------------------------------------------------------------------------------


def contestants(
    bench: Bench, layout: Layout, genomes: Genomes, steps: int, longest: int | None
) -> Iterator[tuple[str, str, Call]]:
    """(peer, formulation, call)"""
    from benchmarks import peer_poles

    yield "ours", "evornn", partial(bench.run, layout, genomes, steps)
    yield "torch", "loop", partial(closed_loop.run, layout, bench.plant, torch.from_numpy(genomes), steps)
    for name, call in peer_poles.formulations(longest):
        yield "jax", name, partial(call, layout, genomes, steps)


def agree(bench: Bench, layout: Layout, genomes: Genomes) -> None:
    """Raises EvornnError unless all compute the same for 12 steps (of later ones, falling poles are too chaotic)."""
    from benchmarks import peer_poles

    ours = bench.run(layout, genomes, 12)
    for name, call in peer_poles.formulations(12):
        same = np.mean(call(layout, genomes, 12) == ours.steps[:, 0])
        if same < 0.999:
            raise EvornnError(f"JAX ({name}) and evornn agree only for {same:.1%} of the members: times mean nothing")
    for name, call in peer_poles.formulations(None):
        up = ours.steps[:, 0] == 12
        if not np.allclose(call(layout, genomes, 12).T[up], ours.final_states[up, 0], atol=2e-3):
            raise EvornnError(f"JAX ({name}) and evornn end in different states: times mean nothing")


def row(
    workload: str, sizes: list[int], work: int, unit: str, calls: Iterator[tuple[str, str, Call]], rounds: int
) -> dict[str, Any]:
    """Rates of ours and of each peer's best formulation: medians of rounds in turns, after a run to warm up."""
    kept = list(calls)
    first = {(peer, name): (call(), seconds(call))[1] for peer, name, call in kept}
    best = {peer: min((t, name) for (p, name), t in first.items() if p == peer)[1] for peer, _, _ in kept}
    final = {peer: call for peer, name, call in kept if best[peer] == name}
    times: dict[str, list[tuple[float, float]]] = {peer: [] for peer in final}
    for _ in range(rounds):
        for peer, call in final.items():
            times[peer].append(per_call(call))
    rates = {peer: work / median(wall for wall, _ in values) for peer, values in times.items()}
    cpu = {f"{peer}_per_cpu_second": work / median(cpu for _, cpu in values) for peer, values in times.items()}
    told = {"workload": workload, "sizes": sizes, "unit": unit, "rounds": rounds, **rates, **cpu}
    return {**told, "jax_formulation": best["jax"], "ratio_jax": rates["ours"] / rates["jax"]}


def per_call(call: Call) -> tuple[float, float]:
    """Seconds and CPU seconds of one call, of as many as take about 0.2 s together."""
    once = seconds(call)
    count, cpu = max(1, int(0.2 / once)), process_time()
    return seconds(lambda: [call() for _ in range(count)]) / count, (process_time() - cpu) / count


def lines(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The result in words."""
    for r in rows[:2]:
        rates = ", ".join(f"{peer} {r[peer]:,.0f}" for peer in ("ours", "jax", "torch"))
        yield f"{r['workload']} (P, H, T = {r['sizes']}): {rates} {r['unit']}"
        busy = ", ".join(f"{peer} {r[f'{peer}_per_cpu_second']:,.0f}" for peer in ("ours", "jax", "torch"))
        yield f"        per second of one CPU: {busy}"
        yield f"        {r['ratio_jax']:.0f}× JAX ({r['jax_formulation']}), {r['ours'] / r['torch']:.0f}× torch"
    yield f"{'met   ' if rows[0]['ours'] >= 1e8 else 'missed'}  alive: ≥ 100 million network steps a second"
    for peer, hunted in rows[2]["hunts"].items():
        num_solutions, count, rate = (
            hunted["solutions"],
            hunted["evaluations"],
            hunted["evaluations"] / hunted["seconds"],
        )
        yield f"solutions, {peer}: {num_solutions} in {count:,} guesses, {hunted['seconds']:.1f} s, {rate:,.0f}/s"


if __name__ == "__main__":
    sys.exit(main())
