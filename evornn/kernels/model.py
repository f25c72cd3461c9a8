"""Models: networks that are not one equation per step. A model names its parameters and writes its forward pass in
torch for a population at once. `ModelInterpreter` is to a model what `Reference` is to a cell."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evornn.cell import Uniform
from evornn.errors import EvornnError
from evornn.kernels.reference import NetworkState, expand_rows, matrix
from evornn.layout import BaseLayout, BlockSpec

Parameters: TypeAlias = Mapping[str, Tensor]  # name → [P, *shape]
ModelState: TypeAlias = dict[str, Tensor]  # name → [P, B, size]


@dataclass(frozen=True)
class Dimensions:
    """The sizes of a network. A size that an architecture does not use (`Model.size_fields`) is 1 or zero here."""

    inputs: int
    units: int
    outputs: int
    layers: int = 1
    initial_state: Literal["zero", "learned"] = "zero"


class Model(ABC):
    """An architecture written directly in torch. Its fields (see `evornn.settings`) are its settings.

    To write one, name its `parameters` and write `run`; a model with a state also writes `initial_state`.

    >>> from evornn import Network
    >>> from evornn.settings import settings
    >>> @settings
    ... class Perceptron(Model):
    ...     def parameters(self, d):
    ...         yield from map_parts("hidden", d.units, d.inputs, initial=uniform(d.inputs))
    ...         yield from map_parts("readout", d.outputs, d.units, initial=uniform(d.units))
    ...     def run(self, w, inputs, state, d):
    ...         h = torch.tanh(affine(inputs.flatten(0, 1), w["hidden.weight"], w["hidden.bias"]))
    ...         y = affine(h, w["readout.weight"], w["readout.bias"])                # [P, B·T, O]
    ...         return y.view(len(y), *inputs.shape[:2], d.outputs), state
    >>> Network(Perceptron(), inputs=2, units=4, outputs=1).n
    17

    No operation may mix members: what is computed for one must not depend, not even in the last bit, on the others.
    `affine` and `expand_rows` (in `kernels/reference.py`) keep to that.
    """

    size_fields: ClassVar[tuple[str, ...]] = ("units",)  # of units, layers and initial_state, those that it uses
    default_layers: ClassVar[int] = 1  # of a network that does not set them
    learnable: ClassVar[tuple[str, ...]] = ()  # states that start from parameters where initial_state is learned
    causal: ClassVar[bool] = True  # no output depends on later inputs
    differentiable: ClassVar[bool] = True
    padding: ClassVar[float] = 0.0  # NaN for a model that needs to know where a sequence ends

    def check(self, d: Dimensions) -> None:
        """Raises EvornnError for sizes that don't fit."""

    def check_inputs(self, inputs: Tensor, d: Dimensions) -> None:
        """Raises EvornnError for inputs [B, T, I] that have no meaning for the architecture."""

    @abstractmethod
    def parameters(self, d: Dimensions) -> Iterator[BlockSpec]:
        """Name, shape, initial distribution and mask of each block of the genome, in order."""

    def initial_state(self, d: Dimensions) -> Mapping[str, NDArray[np.float32]]:
        """State name → [size] before the first step. These states are carried from one call to the next."""
        return {}

    @abstractmethod
    def run(self, w: Parameters, inputs: Tensor, state: ModelState, d: Dimensions) -> tuple[Tensor, ModelState]:
        """The forward pass of a population.

        Args:
            w: parameter name → [P, *shape].
            inputs: [B, T, I].
            state: state name → [P, B, size] before the first step.
            d: the sizes of the network.

        Returns:
            Outputs [P, B, T, O], and the state after the last step.
        """


class ModelLayout(BaseLayout):
    """A model at a given size."""

    layers = 1  # of states: a model has one set of them, however many layers it has

    def __init__(self, model: Model, dimensions: Dimensions) -> None:
        d = dimensions
        self.model, self.dimensions, self.padding = model, dimensions, model.padding
        self.inputs, self.outputs = d.inputs, d.outputs
        hidden = [d.units] * d.layers if "units" in model.size_fields else []
        self.size = "→".join(map(str, [d.inputs, *hidden, d.outputs]))
        self.learned_states = model.learnable if d.initial_state == "learned" else ()
        model.check(d)
        self.initial_states = dict(model.initial_state(d))

    @property
    def states(self) -> tuple[str, ...]:
        return tuple(self.initial_states)

    def carried_sizes(self, layer: int) -> dict[str, int]:
        return {name: len(values) for name, values in self.initial_states.items()}

    @property
    def value_counts(self) -> tuple[int, int]:
        """An estimate: four numbers for each row of a matrix (its product and three values made of it), and eight for
        each input, output and carried number."""
        products = sum(block.shape[0] for block in self.blocks.values() if len(block.shape) > 1)
        return 4 * products + 8 * (self.inputs + self.outputs + sum(self.carried_sizes(0).values())), 2 * self.outputs

    def check_inputs(self, inputs: Tensor) -> None:
        self.model.check_inputs(inputs, self.dimensions)

    def _parts(self) -> Iterator[BlockSpec]:
        yield from self.model.parameters(self.dimensions)
        for name in self.learned_states:
            yield f"{name}.initial", (len(self.initial_states[name]),), Uniform(-0.1, 0.1), None


class ModelInterpreter:
    """One model with the genomes of a population: `run` is the complete forward pass."""

    def __init__(self, form: ModelLayout, genomes: Tensor) -> None:
        self.form, self.genomes = form, genomes
        self.parameters = {name: matrix(form, genomes, name) for name in form.blocks}

    def run(self, inputs: Tensor, state: NetworkState | None = None) -> tuple[Tensor, NetworkState]:
        """[B, T, I] → outputs [P, B, T, O] and the state after the last step, with which a later call continues."""
        before = self.initial_state(len(inputs))[0] if state is None else state[0]
        outputs, after = self.form.model.run(self.parameters, inputs, before, self.form.dimensions)
        return outputs, [after]

    def initial_state(self, batch: int) -> NetworkState:
        """The state before the first step: the model's, plus the genome's where it is learned."""
        states = {}
        for name, values in self.form.initial_states.items():
            first = torch.as_tensor(values).to(self.genomes).expand(len(self.genomes), batch, -1)
            is_learned = name in self.form.learned_states
            states[name] = (
                first + expand_rows(self.parameters[f"{name}.initial"][:, None], batch) if is_learned else first
            )
        return [states]


# ---- building blocks of models ---------------------------------------------------------------------------------------


def affine(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """weight·x + bias, for each member by itself.

    Args:
        x: [P, N, columns], or [N, columns], the same for all members.
        weight: [P, rows, columns].
        bias: [P, rows]; None: none.

    Returns:
        [P, N, rows].
    """
    x = x.expand(len(weight), -1, -1) if x.ndim == 2 else x
    return (
        torch.bmm(x, weight.mT) if bias is None else torch.baddbmm(expand_rows(bias[:, None], x.shape[1]), x, weight.mT)
    )


def unflatten(values: Tensor, rows: int) -> Tensor:
    """[P, B, rows · columns], the form in which a state is carried, → [P, B, rows, columns]."""
    return values.reshape(*values.shape[:-1], rows, -1)


def uniform(fan_in: int) -> Uniform:
    """U[−1/√fan_in, 1/√fan_in]."""
    bound = 1 / float(np.sqrt(fan_in))
    return Uniform(-bound, bound)


def map_parts(name: str, out: int, *sources: int, initial: Uniform) -> Iterator[BlockSpec]:
    """The blocks of an affine map: a weight [out, columns of all its sources] and a bias [out].

    Args:
        name: of the map; its blocks are "name.weight" and "name.bias".
        out: rows.
        sources: the sizes of its sources.
        initial: the distribution of weights and biases.
    """
    yield f"{name}.weight", (out, sum(sources)), initial, None
    yield f"{name}.bias", (out,), initial, None


def lengths(inputs: Tensor) -> Tensor:
    """[B] the number of steps of each sequence, where padding is NaN."""
    is_valid = ~inputs.isnan().all(-1)
    return is_valid.shape[1] - is_valid.flip(1).int().argmax(1)


def refuse(where: Tensor, problem: str) -> None:
    """Raises EvornnError if any step [B, T] is True, and names the first one."""
    if bool(where.any()):
        b, t = (int(k) for k in where.nonzero()[0])
        raise EvornnError(f"inputs: sequence {b}, step {t}: {problem}")
