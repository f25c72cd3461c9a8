"""Hopfield network (Hopfield 1982):

sᵢ ← sgn(Σⱼ wᵢⱼ sⱼ − θᵢ), y = s, one neuron after the other; sgn(0) keeps the old value.

W is symmetric with an empty diagonal, so that E = −½ sᵀW s + θᵀs never rises. Each step is one sweep over the neurons
in their order. An input other than 0 first sets its neuron to its sign: a cue, complete or partial; 0 leaves it alone.
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
from evornn.settings import settings


@settings
class Hopfield(Model):
    """Associative memory of bipolar patterns (±1), with as many neurons as inputs and outputs. Its state s carries
    over; before the first cue it is 0, undecided. It has no gradient. Weights and thresholds are evolved, initially
    U[−1/√N, 1/√N], or made from patterns by `hebbian` or `pseudo_inverse`."""

    size_fields = ()
    differentiable = False

    def run(self, w: Parameters, inputs: Tensor, state: ModelState, d: Dimensions) -> tuple[Tensor, ModelState]:
        weights, s, outputs = w["weights"] + w["weights"].mT, state["s"], []
        for x in inputs.unbind(1):
            s = sign_or_keep(x.expand_as(s), s)
            # asynchronous updates in a fixed order: each neuron sees the new values of those before it
            for i in range(d.inputs):
                field = torch.bmm(s, weights[:, :, i : i + 1]) - w["thresholds"][:, None, i : i + 1]
                s = torch.cat([s[..., :i], sign_or_keep(field, s[..., i : i + 1]), s[..., i + 1 :]], -1)
            outputs.append(s)
        return torch.stack(outputs, 2), {"s": s}

    def parameters(self, d: Dimensions) -> Iterator[BlockSpec]:
        upper = np.triu(np.ones((d.inputs, d.inputs), np.bool_), 1)
        yield "weights", (d.inputs, d.inputs), uniform(d.inputs), upper
        yield "thresholds", (d.inputs,), uniform(d.inputs), None

    def initial_state(self, d: Dimensions) -> Mapping[str, NDArray[np.float32]]:
        return {"s": np.zeros(d.inputs, np.float32)}

    def check(self, d: Dimensions) -> None:
        if d.inputs != d.outputs:
            raise EvornnError(
                f"a Hopfield network completes its input pattern, but there are {d.inputs} inputs and {d.outputs} "
                "outputs: make them equal, or use bidirectional_associative_memory"
            )

    def check_inputs(self, inputs: Tensor, d: Dimensions) -> None:
        refuse(inputs.isnan().any(-1), "a cue must be a number, its sign is the neuron's value; use 0 for unknown")


def sign_or_keep(field: Tensor, before: Tensor) -> Tensor:
    """sgn(field); the value before where the field is 0."""
    return torch.where(field == 0, before, torch.sign(field))


def hebbian(patterns: ArrayLike) -> Genome:
    """[n] the genome that stores patterns ±1 [K, N] by Hebb's rule, wᵢⱼ = Σₖ ξᵢξⱼ / N; good for up to about 0.14 N."""
    xi = check_bipolar("patterns", patterns)
    return _genome(xi.T @ xi / xi.shape[1])


def pseudo_inverse(patterns: ArrayLike) -> Genome:
    """[n] the genome that stores linearly independent patterns ±1 [K, N]: W = Ξ⁺Ξ, the projection on them (Personnaz,
    Guyon & Dreyfus 1985). Without the diagonal they all remain fixed points, as long as it is below 1."""
    xi = check_bipolar("patterns", patterns)
    return _genome(np.linalg.pinv(xi) @ xi)


def _genome(weights: NDArray[np.float64]) -> Genome:
    """The upper triangle row by row, and thresholds 0."""
    upper = weights[np.triu_indices(len(weights), 1)]
    return np.concatenate([upper, np.zeros(len(weights))]).astype(np.float32)


def check_bipolar(what: str, patterns: ArrayLike) -> NDArray[np.float64]:
    """[K, N] of −1 and 1; raises EvornnError for anything else."""
    array = np.asarray(patterns)
    if array.ndim != 2 or array.dtype.kind not in "fiu" or not np.isin(array, (-1, 1)).all() or not array.size:
        raise EvornnError(f"{what} must be [K, N] numbers −1 and 1, one pattern in each row")
    return array.astype(np.float64)
