"""Networks with genomes and data, computed by the SIMD kernels and, in float64, by the reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from evornn.cell import Cell, Uniform, Weights
from evornn.kernels.evaluate import Evaluator
from evornn.kernels.examples import Examples
from evornn.kernels.simd.runtime.evaluator import SimdEvaluator
from evornn.kernels.simd.runtime.lane_layout import LaneExamples
from evornn.layout import Layout
from evornn.networks import CELLS
from evornn.networks.objective import to_tensors
from evornn.ops import Node, Sizes, exp, relu, sigmoid, tanh


class Scaled(Cell):
    """What the papers' equations don't use: scalars from the genome, division by what changes, exp, relu, an output of
    two states, one handed on."""

    state = ("u", "v", "last")
    sizes: Mapping[str, str] = {"leak": "one", "gain": "one"}

    def output(self, w: Weights, u: Node, v: Node, last: Node) -> Node:
        return relu(u) + w.gain * v / (1 + last * last)

    def step(self, w: Weights, x: Node, u: Node, v: Node, last: Node) -> tuple[Node, ...]:
        a = exp(-1 * w.leak) * u + tanh(w.a(x, v)) / (1 + sigmoid(w.tau * u))
        return a, relu(w.b(a, u) + 0.1), u

    def initial(self, name: str, part: str, sizes: Sizes) -> Uniform:
        return Uniform(-0.4, 0.4)


SCALES = ["input_scale", "spectral_radius", "feedback", "leak"]
SETTINGS = {
    "lstm_1997": {"block_size": 3, "biased": "gates"},
    "echo_state": {"feedback": 0.4, "leak": 0.3, "density": 0.5, "evolved": SCALES},
}


def cell(name: str) -> Cell:
    return Scaled() if name == "Scaled" else CELLS.build({"kind": name, **SETTINGS.get(name, {})})


class TensorEvaluator(SimdEvaluator):
    """The SIMD kernels with tensors in and out, to be compared with the reference by the same expressions."""

    def losses(self, genomes: Any, examples: Any, loss: str, state: Any = None) -> Any:
        return torch.from_numpy(super().losses(genomes, examples, loss, to_numpy(state)))

    def gradients(self, genomes: Any, examples: Any, loss: str, state: Any = None, carry: bool = False) -> Any:
        losses, gradients, end = super().gradients(genomes, examples, loss, to_numpy(state), carry)
        return torch.from_numpy(losses), torch.from_numpy(gradients), end and to_tensors(end)

    def pull_back(self, genomes: Any, examples: Any, cotangents: Any, state: Any = None) -> Any:
        return torch.from_numpy(super().pull_back(genomes, examples, cotangents, to_numpy(state)))

    def outputs(self, genomes: Any, inputs: Any, state: Any = None) -> Any:
        outputs, end = super().outputs(genomes, inputs, to_numpy(state))
        return torch.from_numpy(outputs), to_tensors(end)

    def products(self, genomes: Any, examples: Any) -> Any:
        return tuple(map(torch.from_numpy, super().products(genomes, examples)))


def to_numpy(state: Any) -> Any:
    return state and [{name: np.asarray(values) for name, values in layer.items()} for layer in state]


class Case:
    """`classes`: inputs and targets are class indices, else series."""

    def __init__(
        self, of: str | Cell, units: int = 9, batch: int = 19, layers: int = 1, seed: int = 0, classes: bool = False,
        **sizes: Any,
    ) -> None:  # fmt: skip
        rng = np.random.default_rng(seed)
        steps, inputs, outputs = sizes.get("steps", 12), sizes.get("inputs", 3), sizes.get("outputs", 2)
        kind = cell(of) if isinstance(of, str) else of
        outputs = outputs if kind.readout else min(outputs, units)
        self.layout = Layout(kind, inputs, units, outputs, layers, sizes.get("initial_state", "zero"))
        self.genomes = torch.from_numpy(self.layout.sample(sizes.get("population", 3), rng))
        if classes:
            self.inputs = torch.from_numpy(rng.integers(0, inputs, (batch, steps)))
            self.targets = torch.from_numpy(rng.integers(0, outputs, (batch, steps)))
        else:
            self.inputs = torch.tensor(rng.standard_normal((batch, steps, inputs)), dtype=torch.float32)
            self.targets = torch.tensor(rng.uniform(size=(batch, steps, outputs)), dtype=torch.float32)
        self.mask = torch.tensor(rng.random((batch, steps)) < 0.7)
        self.mask[0, -1] = True
        self.simd, self.reference = TensorEvaluator(self.layout), Evaluator(self.layout)

    @property
    def data(self) -> LaneExamples:
        """For the kernels."""
        return self.simd.bind(self.simd.prepare_inputs(self.inputs), self.targets, self.mask)

    @property
    def exact(self) -> tuple[torch.Tensor, Examples]:
        """Genomes and data of the reference; class indices are one-hot."""
        inputs, targets = self.one_hot(self.inputs, self.layout.inputs), self.one_hot(self.targets, self.layout.outputs)
        return self.genomes.double(), Examples.from_tensors(inputs.double(), targets.double(), self.mask)

    def one_hot(self, values: torch.Tensor, width: int) -> torch.Tensor:
        return values if values.ndim == 3 else torch.nn.functional.one_hot(values, width)

    def check_losses(self, loss: str) -> None:
        found, right = self.simd.losses(self.genomes, self.data, loss), self.reference.losses(*self.exact, loss)
        assert ((found - right).abs() <= 1e-5 * right).all(), (loss, found, right)

    def check_gradients(self, loss: str) -> None:
        losses, found, _ = self.simd.gradients(self.genomes, self.data, loss)
        right_losses, right, _ = self.reference.gradients(*self.exact, loss)
        assert ((losses - right_losses).abs() <= 1e-5 * right_losses).all(), (loss, losses, right_losses)
        error = (found - right).norm(dim=1) / right.norm(dim=1)
        worst = {n: float((found - right)[:, b.slice].norm()) for n, b in self.layout.blocks.items()}
        assert (error < 1e-4).all(), (loss, error, worst)
