"""One time step of a trained network, written by an emitter: the same walk through the equation for every format.

A format is an `Emitter`, which says how a constant, a matrix product and each operation of `evornn.ops` are written in
it. What no step changes (parameters per unit and what is made of them alone) is computed here, once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from evornn.arrays import Floats, Genome
from evornn.cell import width
from evornn.errors import EvornnError
from evornn.kernels.reference import Layer, Reference, matrix
from evornn.layout import BaseLayout, Layout, source_names
from evornn.ops import Node

V = TypeVar("V")
LAST_OUTPUT, TIME = "y", "t"  # states that belong to no layer


class Emitter(Protocol[V]):
    """How a format writes values. A value holds `size` numbers for each sequence; one of size 1 is broadcast."""

    def constant(self, values: Floats) -> V:
        """Numbers [size] that the file holds."""

    def affine(self, products: Sequence[tuple[Floats, V]], bias: Floats | None) -> V:
        """Σ W v + b: matrices W [rows, columns] with their sources v, and a bias [rows]."""

    def apply(self, op: str, args: Sequence[V | float], size: int) -> V:
        """An operation of `evornn.ops`; "spread" has the number of repetitions as its second argument."""

    def head(self, value: V, size: int) -> V:
        """The first numbers of a value."""


@dataclass(frozen=True)
class Step(Generic[V]):
    """What a step computes: the outputs, and the states after it by name."""

    outputs: V
    states: dict[str, V]


def check_exportable(layout: BaseLayout) -> Layout:
    """The layout, if it has an equation to write. Raises EvornnError for architectures written in torch."""
    if isinstance(layout, Layout):
        return layout
    raise EvornnError(
        "this architecture is a torch model without an equation, so that it can't be exported: use "
        "`Network.to_torch`, or a gated cell (`evornn catalog networks`)"
    )


def state_sizes(layout: Layout) -> dict[str, int]:
    """The states that a step reads and writes: "0.h" (layer 0), …; "y" (the last output) and "t" (the time) if the
    equation uses them."""
    sizes = {f"{k}.{name}": size for k in range(layout.layers) for name, size in layout.state_sizes(k).items()}
    others = {LAST_OUTPUT: layout.outputs, TIME: 1}
    return sizes | {name: size for name, size in others.items() if name in layout.trace.leaves}


def initial_states(layout: Layout, genome: Genome) -> dict[str, Floats]:
    """[size] the states before the first step, by name."""
    genomes = torch.as_tensor(genome)[None]
    zeros = {name: np.zeros(size, np.float32) for name, size in state_sizes(layout).items()}
    if layout.initial_state == "zero":
        return zeros
    learned = (name for name in zeros if f"{name}.initial" in layout.blocks)
    return zeros | {name: _numbers(matrix(layout, genomes, f"{name}.initial")[0]) for name in learned}


def flat_states(layout: Layout, state: Any) -> dict[str, Floats]:
    """The states [B, size] of `Network.predict` for one genome, by name."""
    values = {}
    for name in state_sizes(layout):
        layer, _, own = name.partition(".")
        values[name] = np.asarray(state[int(layer)][own][0] if own else state[-1][name][0], np.float32)
    return values


def emit_step(layout: Layout, genome: Genome, emitter: Emitter[V], inputs: V, states: Mapping[str, V]) -> Step[V]:
    """Write a step.

    Args:
        layout: The network.
        genome: Its parameters [n].
        emitter: The format.
        inputs: The network's inputs at this step.
        states: Its states before the step, with the names of `state_sizes`.

    Returns:
        Outputs and states after the step.
    """
    network = Reference(layout, torch.as_tensor(np.asarray(genome, np.float32))[None])
    after: dict[str, V] = {}
    value = inputs
    for k, layer in enumerate(network.layers):
        own = {name: states[f"{k}.{name}"] for name in layout.trace.states}
        writer = _LayerWriter(layer, emitter, {**states, **own, "x": value})
        new = {name: writer.value(node) for name, node in zip(own, layout.trace.new_states, strict=True)}
        new = {name: _own_copy(value, states, emitter, layout.state_sizes(k)[name]) for name, value in new.items()}
        after |= {f"{k}.{name}": new[name] for name in own}
        # the output is an equation in the states, which here are the new ones
        value = _LayerWriter(layer, emitter, {**states, **new, "x": value}).value(layout.trace.output)
    outputs = _read_out(layout, network.genomes, emitter, value)
    if LAST_OUTPUT in states:
        after[LAST_OUTPUT] = outputs
    if TIME in states:
        after[TIME] = emitter.apply("add", [states[TIME], 1.0], 1)
    return Step(outputs, after)


def _own_copy(value: V, states: Mapping[str, V], emitter: Emitter[V], size: int) -> V:
    """A new state that is an old one as it was is copied: formats overwrite the states one after the other."""
    return emitter.apply("stop", [value], size) if any(value is old for old in states.values()) else value


class _LayerWriter(Generic[V]):
    """Writes the equation of one layer, each node once."""

    def __init__(self, layer: Layer, emitter: Emitter[V], leaves: Mapping[str, V]) -> None:
        self.layer, self.emitter, self.sizes = layer, emitter, layer.sizes
        self.values: dict[Node, V] = {leaf: leaves[name] for name, leaf in layer.trace.leaves.items() if name in leaves}

    def value(self, node: Node) -> V:
        """The value of a node, written with all that it needs."""
        if node not in self.values:
            self.values[node] = self._write(node)
        return self.values[node]

    def _write(self, node: Node) -> V:
        if node in self.layer.static_values:
            return self.emitter.constant(_numbers(self.layer.static_values[node][0, 0]))
        if node.op == "affine":
            names = source_names(node)
            products = [(self._weights(node, name), self.value(v)) for name, v in zip(names, node.nodes, strict=True)]
            return self.emitter.affine(products, self._weights(node, "bias") if node.bias else None)
        args: list[V | float] = [self.value(arg) if isinstance(arg, Node) else float(arg) for arg in node.args]
        size = width(node.size, self.sizes)
        if node.op == "spread":
            args.append(float(size // width(node.nodes[0].size, self.sizes)))
        return self.emitter.apply(node.op, args, size)

    def _weights(self, node: Node, part: str) -> Floats:
        full = f"{self.layer.index}.{node.name}.{part}"
        return _numbers(matrix(self.layer.layout, self.layer.genomes, full)[0])


def _read_out(layout: Layout, genomes: torch.Tensor, emitter: Emitter[V], value: V) -> V:
    if not layout.readout:
        return emitter.head(value, layout.outputs)
    weight, bias = (_numbers(matrix(layout, genomes, f"readout.{part}")[0]) for part in ("weight", "bias"))
    return emitter.affine([(weight, value)], bias)


def _numbers(values: Any) -> NDArray[np.float32]:
    return np.ascontiguousarray(values.numpy(), np.float32)
