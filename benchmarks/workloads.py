"""What is measured: sizes, cells and operations, with data drawn from a seed, and how many operations they take."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from evornn.arrays import Genomes, Series
from evornn.layout import Layout
from evornn.networks.network import Network

CELLS = ("elman", "lstm", "gru", "ctrnn")  # that peers are held against; ours has more
OPERATIONS = ("forward", "gradient")  # losses [P] by mean squared error; losses and their gradients [P, n]


@dataclass(frozen=True)
class Workload:
    """P members, H units, I inputs, O outputs, B sequences, T steps."""

    members: int
    units: int
    inputs: int
    outputs: int
    batch: int
    steps: int

    def __str__(self) -> str:
        return ",".join(str(size) for size in vars(self).values())


WORKLOADS = (
    Workload(256, 16, 1, 1, 32, 100),
    Workload(256, 32, 2, 1, 32, 100),
    Workload(64, 128, 8, 4, 64, 50),
    Workload(1024, 8, 2, 1, 16, 200),
    Workload(4096, 8, 3, 1, 1, 200),
    Workload(128, 64, 16, 16, 32, 100),
)
QUICK = tuple(replace(w, members=w.members // 4, steps=w.steps // 4) for w in WORKLOADS[::2])


@dataclass(frozen=True)
class Problem:
    """One cell at one size with its data: genomes [P, n], inputs [B, T, I], targets [B, T, O]."""

    cell: str
    sizes: Workload
    operation: str
    network: Network
    genomes: Genomes
    inputs: Series
    targets: Series

    @property
    def gigaflops(self) -> float:
        """10⁹ floating-point operations of the whole population."""
        s = self.sizes
        return flops(self.network.layout, s.members, s.batch, s.steps, self.operation == "gradient") / 1e9


def problem(cell: str, sizes: Workload, operation: str, threads: int) -> Problem:
    """Genomes from the cell's initial distribution, inputs and targets standard normal."""
    s, rng = sizes, np.random.default_rng(0)
    network = Network(cell, inputs=s.inputs, units=s.units, outputs=s.outputs, threads=threads)
    inputs, targets = (rng.standard_normal((s.batch, s.steps, width), np.float32) for width in (s.inputs, s.outputs))
    return Problem(cell, sizes, operation, network, network.sample(s.members, seed=0), inputs, targets)


def flops(layout: Layout, members: int, batch: int, steps: int, gradient: bool) -> int:
    """2·P·B·T·(weights of all affine maps and of the read-out): multiplications and additions of the matrix products.

    A gradient counts three times that: forward, backward through the states, and to the weights. Biases, tanh and the
    rest of the equation are work that nobody is credited for."""
    weights = sum(block.size for block in layout.blocks.values() if len(block.shape) == 2)
    weights += sum(values.size for values in layout.fixed_weights.values() if values.ndim == 2)
    return 2 * members * batch * steps * weights * (3 if gradient else 1)
