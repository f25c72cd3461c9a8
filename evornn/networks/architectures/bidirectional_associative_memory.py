"""Bidirectional associative memory (Kosko 1988):

b = sgn(Mᵀa), a = sgn(M b), y = b, repeatedly; sgn(0) keeps the old value.

M = Σₖ aₖbₖᵀ stores pairs of bipolar patterns; E = −aᵀM b never rises. Each step goes from a to b and back. An input
other than 0 first sets its neuron of a to its sign: a cue, complete or partial; 0 leaves it alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from evornn.arrays import Genome
from evornn.errors import EvornnError
from evornn.kernels.model import Dimensions, Model, ModelState, Parameters, refuse, uniform
from evornn.layout import BlockSpec
from evornn.networks.architectures.hopfield import check_bipolar, sign_or_keep
from evornn.settings import settings


@settings
class AssociativeMemory(Model):
    """Heteroassociative memory, with as many neurons in a as inputs and in b as outputs. Both states carry over; before
    the first cue they are 0, undecided. It has no gradient. M is evolved, initially U[−1/√I, 1/√I], or made by
    `hebbian`."""

    size_fields = ()
    differentiable = False

    def run(self, w: Parameters, inputs: Tensor, state: ModelState, d: Dimensions) -> tuple[Tensor, ModelState]:
        m, a, b, outputs = w["m"], state["a"], state["b"], []
        for x in inputs.unbind(1):
            a = sign_or_keep(x.expand_as(a), a)
            b = sign_or_keep(torch.bmm(a, m), b)
            a = sign_or_keep(torch.bmm(b, m.mT), a)
            outputs.append(b)
        return torch.stack(outputs, 2), {"a": a, "b": b}

    def parameters(self, d: Dimensions) -> Iterator[BlockSpec]:
        yield "m", (d.inputs, d.outputs), uniform(d.inputs), None

    def initial_state(self, d: Dimensions) -> Mapping[str, NDArray[np.float32]]:
        return {"a": np.zeros(d.inputs, np.float32), "b": np.zeros(d.outputs, np.float32)}

    def check_inputs(self, inputs: Tensor, d: Dimensions) -> None:
        refuse(inputs.isnan().any(-1), "a cue must be a number, its sign is the neuron's value; use 0 for unknown")


def hebbian(a: ArrayLike, b: ArrayLike) -> Genome:
    """[n] the genome that stores the pairs of rows of a [K, I] and b [K, O], all −1 or 1: M = Σₖ aₖbₖᵀ."""
    left, right = check_bipolar("a", a), check_bipolar("b", b)
    if len(left) != len(right):
        raise EvornnError(f"a has {len(left)} patterns and b {len(right)}: give one b for each a")
    return (left.T @ right).astype(np.float32).ravel()
