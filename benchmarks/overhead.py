"""What the frame costs: loop, dispatcher, store and progress, as a share of the wall time of a run whose trainer steps
cost 20 ms; how much of a small update or generation is Python; and the time that `evornn --help` takes.

    python -m benchmarks.overhead [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from evornn.arrays import Genome, Streams
from evornn.cli.progress import Tally
from evornn.experiments.execute import ready
from evornn.kernels.simd.seats import Seats
from evornn.service.dispatch import Dispatcher
from evornn.service.local import LocalExecutor
from evornn.service.service import submit
from evornn.settings import settings
from evornn.store.store import open_store
from evornn.trainers import TRAINERS
from evornn.trainers.trainer import Oracle, State, Trainer
from evornn.training.oracle import LocalOracle
from evornn.training.posed import problem

STEP = 0.020  # seconds
STEPS = 300
SPENT: list[float] = []  # seconds that each step really took: on a busy machine more than it wanted
WORK = np.ones((128, 128), np.float32)
SPEC: dict[str, Any] = {
    "name": "overhead",
    "tasks": [{"kind": "adding", "length": 10, "train": 10, "valid": 10, "test": 10}],
    "networks": [{"kind": "elman", "units": 4}],
    "trainers": [{"kind": "busy"}],
    "seeds": 1,
    "budget": {"steps": STEPS * 10 * 11, "marks": 100},
}
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


def main() -> None:
    """Print both, and write them to a file if asked."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--json", type=Path, metavar="FILE")
    TRAINERS.places["busy"] = f"{Busy.__module__}:Busy"
    seconds = framed()
    found = {
        "steps": STEPS,
        "step_seconds": STEP,
        "run_seconds": seconds,
        "frame_share": 1 - sum(SPENT[-STEPS:]) / seconds,
        "small": {name: small(trainer) for name, trainer in SMALL.items()},
        "help_seconds": help_seconds(),
    }
    print(
        f"{STEPS} trainer steps of {1000 * STEP:.0f} ms: {seconds:.2f} s, of which the frame {found['frame_share']:.1%}"
    )
    for name, cost in found["small"].items():
        print(f"{name}: {cost['step']:.0f} µs, of which the kernel {cost['kernel']:.0f}")
    print(f"evornn --help: {found['help_seconds']:.2f} s")
    if (file := arguments.parse_args().json) is not None:
        file.write_text(json.dumps(found, indent=1) + "\n")


def framed() -> float:
    """Seconds from the run's claim to its end in the store, after one run to warm up."""
    with tempfile.TemporaryDirectory() as folder, open_store(f"sqlite:///{folder}/evornn.db") as store:
        executor = LocalExecutor()
        for budget in (SPEC["budget"]["steps"] // 10, SPEC["budget"]["steps"]):
            job = submit(store, {**SPEC, "budget": {**SPEC["budget"], "steps": budget}})
            start = perf_counter()
            Dispatcher(store, executor, Tally(store.runs(job=job))).work(job)
            seconds = perf_counter() - start
        executor.close()
        assert store.job(job).counts == {"succeeded": 1} and store.runs(job=job)[0].updates == STEPS
    return seconds


def small(trainer: dict[str, Any], steps: int = 2000) -> dict[str, float]:
    """Microseconds of a trainer's step on mini-batches of 32 sequences of 22 steps, for an Elman network of 97
    parameters, and those of them inside of the compiled kernel: medians."""
    task = {"kind": "adding", "length": 20, "train": 1024, "valid": 1, "test": 1}
    run = ready({"task": task, "network": {"kind": "elman", "units": 8}, "trainer": trainer})
    asked, entry = (
        problem(run.network, run.data.train, run.loss),
        "gradients" if run.trainer.needs_gradient else "losses",
    )
    kernel, inside = run.network.evaluator._kernel(entry, Seats.of(BATCH)), []
    kernel.function = timed(kernel.function, inside)
    oracle, streams, times = LocalOracle(asked, 0, 2**62), Streams(0, "small"), []
    state = run.trainer.start(oracle, streams)
    step = timed(run.trainer.step, times)
    for _ in range(steps):
        oracle.answers = []
        state = step(state, oracle, streams)
    return {"step": 1e6 * median(times), "kernel": 1e6 * median(inside)}


def timed(function: Callable[..., Any], times: list[float]) -> Callable[..., Any]:
    """The same function, which notes how many seconds each call takes."""

    def call(*arguments: Any) -> Any:
        begin = perf_counter()
        answer = function(*arguments)
        times.append(perf_counter() - begin)
        return answer

    return call


def help_seconds(repeats: int = 5) -> float:
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
