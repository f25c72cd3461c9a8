"""What the frame costs: loop, dispatcher, store and progress, as a share of the wall time of a run whose trainer steps
cost 20 ms; how much of a small update or generation is Python; and the time that `evornn --help` takes.

    python -m benchmarks.overhead [--quick] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any
from unittest.mock import patch

import numpy as np

from evornn.arrays import Genome, Streams
from evornn.experiments.execute import build_run
from evornn.kernels.simd.runtime import kernel
from evornn.kernels.simd.runtime.machine_code import function
from evornn.service.dispatch.dispatcher import Dispatcher
from evornn.service.executors.local_executor import LocalExecutor
from evornn.service.progress import JobProgress
from evornn.service.service import submit
from evornn.settings import settings
from evornn.store.store import open_store
from evornn.trainers import TRAINERS
from evornn.trainers.core.trainer import Oracle, State, Trainer
from evornn.training.make_problem import make_problem
from evornn.training.oracle import LocalOracle

STEP = 0.020  # seconds
SPENT: list[float] = []  # seconds that each step really took: on a busy machine more than it wanted
WORK = np.ones((128, 128), np.float32)
SPEC: dict[str, Any] = {
    "name": "overhead",
    "tasks": [{"kind": "adding", "length": 10, "train": 10, "valid": 10, "test": 10}],
    "networks": [{"kind": "elman", "units": 4}],
    "trainers": [{"kind": "busy"}],
    "seeds": 1,
    "budget": {"marks": 100},
}
EACH = 10 * 11  # network steps of a trainer's step: sequences of the task and their lengths
BATCH = 32
SMALL: dict[str, dict[str, Any]] = {
    "adam, one restart": {"kind": "adam", "batch": BATCH},
    "adam, 8 restarts": {"kind": "adam", "batch": BATCH, "restarts": 8},
    "snes, 16 members": {"kind": "snes", "batch": BATCH, "population": 16},
    "cma_es, 16 members": {"kind": "cma_es", "batch": BATCH, "population": 16},
}


@settings
class Busy(Trainer):
    """Asks for one loss and burns the rest of 20 ms."""

    family = "guessing"

    def start(self, oracle: Oracle, streams: Streams) -> State:
        return {"step": 0, "best": oracle.centre}

    def step(self, state: State, oracle: Oracle, streams: Streams) -> State:
        begin = perf_counter()
        end = begin + STEP
        oracle.losses(state["best"][None])
        while perf_counter() < end:
            WORK @ WORK  # like a network's evaluation, without Python's global lock
        SPENT.append(perf_counter() - begin)
        return {**state, "step": state["step"] + 1}

    def best(self, state: State) -> Genome:
        best: Genome = state["best"]
        return best


def main(given: Sequence[str] | None = None) -> None:
    """Print all, and write it to a file if asked."""
    parser = argparse.ArgumentParser("python -m benchmarks.overhead", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer steps of everything")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the result there")
    options = parser.parse_args(given)
    steps, updates, repeats = (50, 200, 2) if options.quick else (300, 2000, 5)
    TRAINERS.import_paths["busy"] = f"{Busy.__module__}:Busy"
    seconds = frame_seconds(steps)
    results = {
        "steps": steps,
        "step_seconds": STEP,
        "run_seconds": seconds,
        "frame_share": 1 - sum(SPENT[-steps:]) / seconds,
        "small": {name: small(trainer, updates) for name, trainer in SMALL.items()},
        "help_seconds": help_seconds(repeats),
    }
    print("\n".join(lines(results)))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


def lines(results: dict[str, Any]) -> Iterator[str]:
    """The result in words."""
    run = f"{results['steps']} trainer steps of {1000 * STEP:.0f} ms: {results['run_seconds']:.2f} s"
    yield f"{run}, of which the frame {results['frame_share']:.1%}"
    for name, cost in results["small"].items():
        yield f"{name}: {cost['step']:.0f} µs, of which the kernel {cost['kernel']:.0f}"
    yield f"evornn --help: {results['help_seconds']:.2f} s"


def frame_seconds(steps: int) -> float:
    """Seconds from the run's claim to its end in the store, after one run to warm up."""
    with tempfile.TemporaryDirectory() as folder, open_store(f"sqlite:///{folder}/evornn.db") as store:
        executor = LocalExecutor()
        for count in (steps // 10, steps):
            job = submit(store, {**SPEC, "budget": {**SPEC["budget"], "steps": EACH * count}})
            start = perf_counter()
            Dispatcher(store, executor, JobProgress(store.runs(job=job))).work(job)
            seconds = perf_counter() - start
        executor.close()
        assert store.job(job).counts == {"succeeded": 1} and store.runs(job=job)[0].updates == steps
    return seconds


def small(trainer: dict[str, Any], steps: int) -> dict[str, float]:
    """Microseconds of a trainer's step on mini-batches of 32 sequences of 22 steps, for an Elman network of 97
    parameters, and those of them inside of the compiled kernel: medians."""
    task = {"kind": "adding", "length": 20, "train": 1024, "valid": 1, "test": 1}
    run = build_run({"task": task, "network": {"kind": "elman", "units": 8}, "trainer": trainer})
    asked, inside, times = make_problem(run.network, run.data.train, run.loss), list[float](), list[float]()
    oracle, streams = LocalOracle(asked, 0, 2**62), Streams(0, "small")
    state = run.trainer.start(oracle, streams)
    step, compiled = record_times(run.trainer.step, times), function("run")
    with patch.object(kernel, "function", lambda name: record_times(compiled, inside)):
        for _ in range(steps):
            oracle.begin_step()
            state = step(state, oracle, streams)
    return {"step": 1e6 * median(times), "kernel": 1e6 * median(inside)}


def record_times(function: Callable[..., Any], times: list[float]) -> Callable[..., Any]:
    """The same function, which notes how many seconds each call takes."""

    def call(*arguments: Any) -> Any:
        begin = perf_counter()
        answer = function(*arguments)
        times.append(perf_counter() - begin)
        return answer

    return call


def help_seconds(repeats: int) -> float:
    """Median of fresh processes."""
    times = []
    for _ in range(repeats):
        start = perf_counter()
        code = "from evornn.cli import main; main()"
        subprocess.run([sys.executable, "-c", code, "--help"], check=True, stdout=subprocess.DEVNULL)
        times.append(perf_counter() - start)
    return median(times)


if __name__ == "__main__":
    main()
