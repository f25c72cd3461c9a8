"""Losses of a whole population (forward pass and mean squared error): evornn against torch.nn, one member at a time.

The sizes are those of the table in the design: P members, B sequences, T steps, H units, I inputs.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from statistics import median
from time import perf_counter

import numpy as np
import torch

from evornn.networks.network import Network

SIZES = [(256, 32, 100, 16, 1), (256, 32, 100, 32, 2), (64, 64, 50, 128, 1)]
CELLS = {"elman": torch.nn.RNN, "lstm": torch.nn.LSTM}
THREADS = len(os.sched_getaffinity(0))


def main() -> None:
    """One line per cell and size, milliseconds per population."""
    print(f"{platform.machine()}, {THREADS} threads, torch {torch.__version__}; median milliseconds")
    print(f"{'cell':8}{'P':>5}{'B':>5}{'T':>5}{'H':>5}{'I':>5}{'evornn':>10}{'torch.nn':>10}")
    for cell, layer in CELLS.items():
        for sizes in SIZES:
            ours, theirs = milliseconds(population(cell, *sizes)), milliseconds(one_by_one(layer, *sizes))
            print(f"{cell:8}{''.join(f'{size:5}' for size in sizes)}{ours:10.1f}{theirs:10.1f}")


def milliseconds(call: Callable[[], object], repeats: int = 5) -> float:
    """Median time of a call, after one to warm up."""
    call()
    times = []
    for _ in range(repeats):
        start = perf_counter()
        call()
        times.append(perf_counter() - start)
    return 1000 * median(times)


def population(cell: str, p: int, b: int, t: int, h: int, i: int) -> Callable[[], object]:
    """Losses [P] by `Network.losses`."""
    network = Network(cell, inputs=i, units=h, outputs=1, threads=THREADS)
    genomes, rng = network.sample(p, seed=0), np.random.default_rng(0)
    inputs, targets = (rng.standard_normal((b, t, size), np.float32) for size in (i, 1))
    return lambda: network.losses(genomes, inputs, targets, loss="mse")


def one_by_one(layer: Callable[..., torch.nn.Module], p: int, b: int, t: int, h: int, i: int) -> Callable[[], object]:
    """Losses [P] by a loop over P torch modules with a linear read-out."""
    torch.set_num_threads(THREADS)
    members = [(layer(i, h, batch_first=True), torch.nn.Linear(h, 1)) for _ in range(p)]
    inputs, targets = torch.randn(b, t, i), torch.randn(b, t, 1)

    @torch.inference_mode()
    def call() -> list[float]:
        outputs = (readout(recurrent(inputs)[0]) for recurrent, readout in members)
        return [float(torch.nn.functional.mse_loss(y, targets)) for y in outputs]

    return call


if __name__ == "__main__":
    main()
