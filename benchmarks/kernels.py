"""Losses and gradients of whole populations: evornn against JAX, torch and EvoTorch, in one process and in turns.

    python -m benchmarks.kernels [--quick] [--json FILE] [--cells elman,lstm] [--operations forward] [--workloads 1,3]

Needs the extra `bench`. Every peer is checked against ours before it is timed; JAX and torch run in several
formulations, of which the fastest counts. Everybody has the same cores. `docs/results/performance.md` says more.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.options import cells, names, places, positive
from benchmarks.roofline import share, slots
from benchmarks.table import Row, markdown, table
from benchmarks.timing import Contestant, fastest, interleave
from benchmarks.workloads import CELLS, OPERATIONS, QUICK, WORKLOADS, Problem, Workload, problem
from evornn.errors import EvornnError

PEERS = ("jax", "torch", "evotorch")


def measure(problem: Problem, peers: Sequence[str], rounds: int, quick: bool, say: Callable[[str], None]) -> Row:
    """One row but for what takes the peak; says which formulations were the fastest."""
    own = ours(problem)
    competitors = [own]
    for peer in peers if problem.cell in CELLS else ():
        competitors += fastest(contestants(peer, problem, quick), own)
    timings = sorted(interleave(competitors, rounds), key=lambda timing: timing.median, reverse=True)
    best = {timing.peer: timing for timing in timings}  # the last one, which is the fastest
    say(f"{problem.cell} {problem.operation} {problem.sizes}: {', '.join(map(str, best.values()))}")
    return _row(problem, {peer: timing.median for peer, timing in best.items()})


def _row(problem: Problem, seconds: dict[str, float]) -> Row:
    ms = {f"{peer}_ms": 1e3 * seconds[peer] if peer in seconds else None for peer in ("ours", *PEERS)}
    return {
        "workload": list(vars(problem.sizes).values()),
        "cell": problem.cell,
        "operation": problem.operation,
        **ms,
        "ratio_jax": seconds["jax"] / seconds["ours"] if "jax" in seconds else None,
        "gflops": problem.gigaflops / seconds["ours"],
    }


def ours(problem: Problem) -> Contestant:
    """Through the public interface, numpy in and numpy out."""
    network, data = problem.network, (problem.genomes, problem.inputs, problem.targets)
    if problem.operation == "forward":
        return Contestant("ours", "evornn", lambda: network.losses(*data), np.asarray)
    return Contestant("ours", "evornn", lambda: network.gradients(*data), lambda r: r[0], lambda r: r[1])


def contestants(peer: str, problem: Problem, quick: bool) -> Iterable[Contestant]:
    """A peer's formulations, each made (and compiled) when it is asked for."""
    from benchmarks import peer_evotorch, peer_jax, peer_torch

    if peer == "jax":
        return peer_jax.contestants(problem, quick)
    return peer_torch.contestants(problem) if peer == "torch" else peer_evotorch.contestants(problem)


def run(options: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    """{"machine": …, "rows": […]}, the rows with times in milliseconds."""
    from benchmarks.peak import peak_gigaflops

    prepare(options.threads, options.peers)
    rounds, rows, work, backends = options.rounds or (3 if options.quick else 7), [], [], set()
    peaks = [peak_gigaflops(options.threads)]
    for cell, sizes, operation in _problems(options):
        posed = problem(cell, sizes, operation, options.threads)
        rows.append(measure(posed, options.peers, rounds, options.quick, say))
        work.append(slots(posed))
        backends.add(posed.network.backend)
        peaks.append(peak_gigaflops(options.threads))
    rows = [_relate_to_peak(row, needed, max(peaks)) for row, needed in zip(rows, work, strict=True)]
    return {"machine": machine(options.threads, max(peaks), backends), "rows": rows}


def _relate_to_peak(row: Row, needed: int | None, peak: float) -> Row:
    """The row with its shares of the measured peak, in GFLOP/s."""
    of_roofline = share(needed, row["ours_ms"] / 1e3, peak)
    return {**row, "fraction_of_peak": row["gflops"] / peak, "of_roofline": of_roofline}


def prepare(threads: int, peers: Sequence[str]) -> None:
    """The same number of cores for everybody."""
    import torch

    from benchmarks.peer_jax import prepare_jax

    if "jax" in peers:
        prepare_jax(threads)
    torch.set_num_threads(threads)


def machine(threads: int, peak: float, backends: Iterable[str]) -> dict[str, Any]:
    """Where and with what it was measured; `peak_gflops` is the best seen during the run."""
    from evornn.training.environment import machine as described

    environment = described()
    libraries = {**environment["libraries"], **{name: version(name) for name in ("jax", "jaxlib") if find_spec(name)}}
    own = {"libraries": libraries, "threads": threads, "peak_gflops": peak, "backend": "+".join(sorted(backends))}
    return {**environment, **own}


def _problems(options: argparse.Namespace) -> list[tuple[str, Workload, str]]:
    sizes = select_workloads(options.workloads, options.quick)
    return [(cell, s, operation) for operation in options.operations for s in sizes for cell in options.cells]


def select_workloads(numbers: Sequence[int] | None, quick: bool) -> list[Workload]:
    """The workloads at these places of the list, or all."""
    known = QUICK if quick else WORKLOADS
    numbers = numbers or range(1, len(known) + 1)
    if max(numbers) > len(known):
        raise EvornnError(f"there are workloads 1…{len(known)}, got {max(numbers)}: see benchmarks/workloads.py")
    return [known[number - 1] for number in numbers]


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Raises EvornnError for names that are unknown."""
    parser = argparse.ArgumentParser("python -m benchmarks.kernels", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="smaller workloads, fewer formulations, 3 rounds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the result there")
    parser.add_argument("--markdown", action="store_true", help="print a table for docs/results/performance.md")
    help_cells = "all: every gated cell, those without peers alone; default: those with peers"
    parser.add_argument("--cells", default=CELLS, type=cells, help=help_cells)
    parser.add_argument("--operations", default=OPERATIONS, type=lambda text: names("operation", text, OPERATIONS))
    parser.add_argument("--peers", default=PEERS, type=lambda text: names("peer", text, PEERS), help="default: all")
    parser.add_argument("--workloads", type=places, help="their places in the list, say 1,3; default: all")
    parser.add_argument("--rounds", type=positive, help="of which the median counts; default 7, with --quick 3")
    parser.add_argument("--threads", type=positive, default=len(os.sched_getaffinity(0)), help="default: all cores")
    return parser.parse_args(given)


def check_installed(peers: Sequence[str]) -> None:
    """Raises EvornnError when a peer's library is missing."""
    if missing := [name for name in peers if find_spec(name) is None]:
        raise EvornnError(f"{', '.join(missing)} not installed: pip install -e '.[bench]', or leave out with --peers")


def main(given: Sequence[str] | None = None) -> int:
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 140)
    try:
        options = arguments(given)
        check_installed(options.peers)
        result = run(options, lambda line: print(line, file=sys.stderr, flush=True))
    except EvornnError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    console.print(markdown(result) if options.markdown else table(result), soft_wrap=options.markdown)
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
