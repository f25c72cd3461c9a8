"""What a start costs: compiling once on a machine, loading in each process, and a cell that was written a moment ago.

    python -m benchmarks.start [--quick] [--json FILE]

Everything runs in processes of its own. `compiled`: each function of the interpreter into an empty cache, `loaded`:
from there; `imports` are what the interpreter adds to those of any network. `started`: from the start of Python until a
network has answered, with an empty cache and with a full one. `cells`: gated recurrent units (GRU) with other
arithmetic each time, in a process that has already computed with the catalog's GRU: from the class to its first losses
and, of another new class, to its first gradients; then its time relative to the catalog's GRU of the same size, in
turns, of medians.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.workloads import Workload
    from evornn.cell import Cell
    from evornn.networks.network import Network

Seconds = dict[str, float]
Row = dict[str, Any]

HERE = Path(__file__).resolve().parents[1]
COMPILING, LOADING, CELL = 25.0, 1.0, 0.050  # aims, in seconds
STAGES = ("python", "import evornn", "a network", "first losses", "first gradients")
BEGIN = """
print(flush=True)
import evornn
print(flush=True)
import numpy as np
network = evornn.Network("gru", inputs=2, units=8, outputs=1)
print(flush=True)
data = np.ones((16, 20, 2), np.float32), np.ones((16, 20, 1), np.float32)
network.losses(network.sample(count=4, seed=0), *data)
print(flush=True)
network.gradients(network.sample(count=4, seed=0), *data)
print(flush=True)
"""
STEADY = (256, 32, 2, 1, 32, 100), (64, 32, 2, 1, 32, 25)  # P, H, I, O, B, T of the ratios; with --quick
ANSWERS = ("losses", "gradients")


# ---- in processes of their own ---------------------------------------------------------------------------------------


def child(cache: Path | str, what: str, *arguments: Any) -> Any:
    """What a function of this module finds in a fresh process, with its cache in a folder."""
    code = f"from benchmarks import start; start.answer({what!r}, {arguments!r})"
    environment = {**os.environ, "EVORNN_CACHE": str(cache)}
    done = subprocess.run([sys.executable, "-c", code], cwd=HERE, env=environment, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def answer(what: str, arguments: Sequence[Any]) -> None:
    """The child's part."""
    print(json.dumps(globals()[what](*arguments)))


def functions() -> Seconds:
    """Seconds that each compiled function takes until it can be called, after what any network imports."""
    import_module("evornn.networks.network")
    times = {"imports": seconds(lambda: import_module("evornn.kernels.simd.runtime.control"))}
    made = import_module("evornn.kernels.simd.runtime.machine_code")
    return times | {name: seconds(partial(made.function, name)) for name in made.FUNCTIONS}


def seconds(call: Callable[[], object]) -> float:
    begin = perf_counter()
    call()
    return perf_counter() - begin


def stages(cache: Path | str) -> Seconds:
    """Seconds from the start of a process to each stage."""
    environment, times = {**os.environ, "EVORNN_CACHE": str(cache)}, {}
    begin = perf_counter()
    with subprocess.Popen([sys.executable, "-c", BEGIN], cwd=HERE, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for stage in STAGES:
            if not process.stdout.readline():
                raise RuntimeError(f"the process has ended before the stage {stage!r}: see above")
            times[stage] = perf_counter() - begin
    return times


# ---- cells that were written a moment ago ----------------------------------------------------------------------------


def cells(rounds: int, quick: bool) -> list[Row]:
    """A row for each kind of cell."""
    from benchmarks.workloads import Workload

    sizes = Workload(*STEADY[quick])
    for what in ANSWERS:
        ask(what, lambda: "gru", sizes)  # loads the interpreter
    return [measure(name, sizes, rounds) for name in kinds()]


def measure(name: str, sizes: Workload, rounds: int) -> Row:
    """Milliseconds to the first answers of two classes, and the time of both answers relative to the catalog's GRU."""
    first = {f"{what}_ms": 1e3 * seconds(partial(ask, what, partial(new_cell, name), sizes)) for what in ANSWERS}
    return {"cell": name, **first, **{f"{what}_ratio": ratio(what, name, sizes, rounds) for what in ANSWERS}}


def ask(what: str, cell: Callable[[], str | Cell], sizes: Workload) -> None:
    """A small question to a network that is made for it, of a class that is written for it."""
    network = make_network(cell(), sizes)
    getattr(network, what)(network.sample(4, seed=0), *data(sizes, 16, 20))


def ratio(what: str, name: str, sizes: Workload, rounds: int) -> float:
    """Median time of a written cell over that of the catalog's GRU."""
    from benchmarks.timing import Contestant, interleave

    x, y = data(sizes, sizes.batch, sizes.steps)
    competitors = []
    for kind in ("gru", new_cell(name)):
        network = make_network(kind, sizes)
        call = partial(getattr(network, what), network.sample(sizes.members, seed=0), x, y)
        call()
        competitors.append(Contestant(str(len(competitors)), what, call, lambda result: result))
    known, own = interleave(competitors, rounds)
    return own.median / known.median


def make_network(cell: str | Cell, sizes: Workload) -> Network:
    from evornn.networks.network import Network

    return Network(cell, inputs=sizes.inputs, units=sizes.units, outputs=sizes.outputs, backend="simd")


def data(sizes: Workload, batch: int, steps: int) -> tuple[Any, Any]:
    """Inputs and targets."""
    import numpy as np

    rng = np.random.default_rng(0)
    x, y = (rng.standard_normal((batch, steps, width), np.float32) for width in (sizes.inputs, sizes.outputs))
    return x, y


def kinds() -> dict[str, Callable[..., Any]]:
    """What is different about a GRU: how its candidate n, its gate z and its last state h become the new one."""
    from evornn.ops import absolute, cos, exp, relu, sigmoid, sin, tanh

    return {
        "nothing": lambda n, z, h: (1 - z) * tanh(n) + z * h,
        "sine": lambda n, z, h: (1 - z) * sin(n) + z * h,
        "softsign": lambda n, z, h: (1 - z) * (n / (1 + absolute(n))) + z * h,
        "bumps": lambda n, z, h: (1 - z) * n * exp(-0.5 * n * n) + z * cos(h),
        "rectified": lambda n, z, h: (1 - z) * (relu(n) - relu(n - 1)) + z * (0.9 * h),
        "much of all": lambda n, z, h: (1 - z) * tanh(n) * sigmoid(n) + z * tanh(h + 0.1 * relu(n) * sin(h)),
    }


def new_cell(name: str) -> Cell:
    """A class that did not exist before, and a cell of it."""
    from evornn.cell import Cell
    from evornn.ops import sigmoid

    become = kinds()[name]

    class NewCell(Cell):
        """A gated recurrent unit with an arithmetic of its own."""

        def step(self, w: Any, x: Any, h: Any) -> Any:
            z, r = sigmoid(w.z(x, h)), sigmoid(w.r(x, h))
            return become(w.n(x) + r * w.m(h), z, h)

    return NewCell()


# ---- what is told ----------------------------------------------------------------------------------------------------


def run(quick: bool) -> dict[str, Any]:
    """All measurements, in seconds but where it says ms."""
    from evornn.training.environment import machine

    repeats, rounds = (2, 3) if quick else (5, 7)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as cache, tempfile.TemporaryDirectory() as other:
        compiled, cold = child(cache, "functions"), stages(other)
        loaded = medians([child(cache, "functions") for _ in range(repeats)])
        warm = medians([stages(cache) for _ in range(repeats)])
        cell_rows = child(cache, "cells", rounds, quick)
    started = {"empty": cold, "full": warm}
    parts = {"compiled": compiled, "loaded": loaded, "started": started, "cells": cell_rows}
    return {"machine": {**machine(), "load_before": load}, **parts}


def medians(samples: Sequence[Seconds]) -> Seconds:
    """Of each name."""
    return {name: median(one[name] for one in samples) for name in samples[0]}


def lines(result: dict[str, Any]) -> Iterator[str]:
    """The result as three tables, then the aims."""
    compiled, loaded, started = (result[name] for name in ("compiled", "loaded", "started"))
    yield f"{'function':<18}{'compiled s':>12}{'loaded s':>12}"
    for name in compiled:
        yield f"{name:<18}{compiled[name]:>12.2f}{loaded[name]:>12.3f}"
    yield f"{'together':<18}{sum(compiled.values()):>12.2f}{sum(loaded.values()):>12.3f}"
    yield f"\n{'until':<18}{'empty cache s':>14}{'full s':>10}"
    for name in STAGES:
        yield f"{name:<18}{started['empty'][name]:>14.2f}{started['full'][name]:>10.2f}"
    columns = f"{'first losses ms':>16}{'gradients ms':>14}{'losses / GRU':>14}{'gradients / GRU':>17}"
    yield f"\n{'a GRU but for':<18}{columns}"
    for row in result["cells"]:
        ms = f"{row['losses_ms']:>16.1f}{row['gradients_ms']:>14.1f}"
        yield f"{row['cell']:<18}{ms}{row['losses_ratio']:>14.2f}{row['gradients_ratio']:>17.2f}"
    yield ""
    for what, met in aims(result):
        yield f"{'met   ' if met else 'missed'}  {what}"


def aims(result: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    """(what was wanted and what was found, whether that is enough)"""
    together, loading = (sum(result[name].values()) for name in ("compiled", "loaded"))
    yield f"all that a first run compiles ≤ {COMPILING:.0f} s: {together:.1f} s", together <= COMPILING
    yield f"loading it ≤ {LOADING:.0f} s: {loading:.2f} s", loading <= LOADING
    for what in ANSWERS:
        worst = max(row[f"{what}_ms"] for row in result["cells"])
        yield f"from a class to its first {what} ≤ {1e3 * CELL:.0f} ms: at most {worst:.1f} ms", worst <= 1e3 * CELL


def main(given: Sequence[str] | None = None) -> int:
    """Print all, and write it to a file if asked."""
    parser = argparse.ArgumentParser("python -m benchmarks.start", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds, smaller populations")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the result there")
    options = parser.parse_args(given)
    result = run(options.quick)
    print("\n".join(lines(result)))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
