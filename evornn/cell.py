"""Cells: an architecture is one equation per time step, written once and traced once into a small graph."""

from __future__ import annotations

import inspect
import math
from abc import ABC
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from evornn.errors import EvornnError
from evornn.ops import Node, Size, Sizes, walk

Bound: TypeAlias = "float | NDArray[np.floating[Any]]"


@dataclass(frozen=True, eq=False)
class Uniform:
    """Initial distribution U[low, high] of a group of parameters: the same for all, or [rows] one for each."""

    low: Bound
    high: Bound

    @property
    def mean(self) -> Bound:
        """The mean, (low + high)/2."""
        return (self.low + self.high) / 2

    @property
    def std(self) -> Bound:
        """The standard deviation, (high − low)/√12."""
        return (self.high - self.low) / math.sqrt(12)

    def shift(self, by: Bound) -> Uniform:
        """The same distribution moved by a value."""
        return Uniform(self.low + by, self.high + by)


class Cell(ABC):
    """One recurrent architecture. Its fields (see `evornn.settings`) are its settings, its `step` is its equation.

    To write one, write `step(self, w, x, *states)`: it takes symbols and returns the new states. `w.name(sources)` is
    an affine map, `w.name` without a call one parameter per unit; both are declared by their use. Gradients, the SIMD
    kernel and the number of parameters follow from the equation.

    >>> from evornn import Network
    >>> from evornn.ops import Node, sigmoid, tanh
    >>> from evornn.settings import settings
    >>> @settings
    ... class UpdateGate(Cell):
    ...     scale: float = 1.0                                        # a setting
    ...     def step(self, w: Weights, x: Node, h: Node) -> Node:     # input, last state → new state
    ...         g = sigmoid(w.g(x, h))                                # weights and bias of the gate
    ...         return g * h + (1 - g) * self.scale * tanh(w.c(x, h))
    >>> network = Network(UpdateGate(scale=2.0), inputs=2, units=4, outputs=1)
    >>> network.n, network.backend
    (61, 'simd')

    The arguments `x` (input), `y` (the network's last output) and `t` (time: 0, 1, …) are recognised by their names;
    all others are the names in `state`, in that order. A `y` or `t` that the equation does not use, with its settings,
    is not kept.
    """

    state: ClassVar[tuple[str, ...]] = ("h",)
    sizes: ClassVar[Mapping[str, str]] = {}  # of states, maps and vectors that are not "units" wide
    readout: ClassVar[bool] = True  # False: the first O units are the output, there is no read-out layer
    default_layers: ClassVar[int] = 1  # of a network that does not set them
    size_fields: ClassVar[tuple[str, ...]] = ("units", "layers", "initial_state")  # those that the architecture uses
    causal: ClassVar[bool] = True
    differentiable: ClassVar[bool] = True
    step: ClassVar[Callable[..., Any]]

    def _first(self, w: Weights, *states: Node) -> Node:
        return states[0]

    output: ClassVar[Callable[..., Node]] = _first  # (w, *new states) → what the read-out sees

    @property
    def readout_bias(self) -> bool:
        """Whether the read-out layer has a bias."""
        return True

    def extents(self, sizes: Sizes) -> Mapping[str, int]:
        """Further named sizes, computed from inputs, units and outputs. Raises EvornnError where they don't fit."""
        return {}

    def mask(self, name: str, source: int, sizes: Sizes) -> NDArray[np.bool_] | None:
        """Which weights of a map exist. The default is all.

        Args:
            name: the map.
            source: the number of the map's source, from 0.
            sizes: size name → number, of the network's layer.

        Returns:
            [rows, columns] True where there is a weight; None for all.
        """
        return None

    def fixed_weights(self, name: str, source: int, sizes: Sizes, layer: int) -> NDArray[np.floating[Any]] | None:
        """Weights that the architecture fixes, so that no genome holds them. Random ones come from `Streams`, seeded by
        a setting.

        Args:
            name: the map.
            source: the number of the map's source, from 0.
            sizes: size name → number, of the network's layer.
            layer: the layer, from 0.

        Returns:
            [rows, columns] the weights; None where they are parameters, which is the default.
        """
        return None

    def initial(self, name: str, part: str, sizes: Sizes) -> Uniform:
        """Initial distribution of a group of parameters. The default is U[−1/√H, 1/√H], as in torch's recurrent
        modules.

        Args:
            name: the map, or the vector of parameters per unit.
            part: "weight" or "bias" of the map, or "vector".
            sizes: size name → number, of the network's layer.
        """
        bound = 1 / math.sqrt(sizes["units"])
        return Uniform(-bound, bound)

    def trace(self) -> Trace:
        """Run `step` and `output` once on symbols. Raises BadEquation."""
        try:
            return Trace(self)
        except BadEquation:
            raise
        except Exception as error:  # an author's equation may raise anything
            raise BadEquation(f"{type(self).__name__}: {error}: look at its step and output") from error


class BadEquation(EvornnError):
    """A cell that can't be computed; the message says why."""


class Weights:
    """What `w` is while tracing: `w.name(sources)` is an affine map, `w.name` a vector of parameters per unit."""

    def __init__(self, sizes: Mapping[str, str]) -> None:
        self._sizes = sizes

    def __getattr__(self, name: str) -> Parameter:
        return Parameter("parameter", (), self._sizes.get(name, "units"), name)


class Parameter(Node):
    """A parameter per unit, until it is called: then an affine map of its sources."""

    def __call__(self, *sources: Node, bias: bool = True) -> Node:
        return Node("affine", sources, self.size, self.name, bias)


class Trace:
    """A cell's equation as a graph.

    `order` computes `new_states` from the leaves. `output_order` computes `output` from the new states; there the state
    leaves stand for the new states.
    """

    def __init__(self, cell: Cell) -> None:
        weights, arguments = Weights(cell.sizes), list(inspect.signature(cell.step).parameters)[1:]
        self.cell, self.states = cell, cell.state
        self.leaves = {name: self._leaf(name) for name in [*arguments, *(s for s in cell.state if s not in arguments)]}
        new = cell.step(weights, *(self.leaves[name] for name in arguments))
        self.new_states: tuple[Node, ...] = new if isinstance(new, tuple) else (new,)
        self.output: Node = cell.output(weights, *(self.leaves[s] for s in cell.state))
        self.order, self.output_order = tuple(walk(*self.new_states)), tuple(walk(self.output))
        # a kernel keeps y and t only for equations that read them
        unused = {name for name in "yt" if self.leaves.get(name) not in (None, *self.order)}
        self.leaves = {name: leaf for name, leaf in self.leaves.items() if name not in unused}
        self._check()

    def _leaf(self, name: str) -> Node:
        size = {"x": "inputs", "y": "outputs", "t": "one"}.get(name) or self.cell.sizes.get(name, "units")
        return Node("leaf", (), size, name)

    def _check(self) -> None:
        kind = type(self.cell).__name__
        if len(self.new_states) != len(self.states):
            raise BadEquation(f"{kind}.step returns {len(self.new_states)} values for the states {self.states}")
        if unknown := set(self.leaves) - {"x", "y", "t", *self.states}:
            raise BadEquation(
                f"{kind}.step takes {sorted(unknown)}, which is neither x, y, t nor in state = {self.states}"
            )
        # a map is one block of the genome, so its name stands for one product
        for name, node in self.maps.items():
            if any(n.op == "affine" and n.name == name and n is not node for n in self.order):
                raise BadEquation(f"{kind} uses the map w.{name} twice: give the second one another name")
        if any(n.op == "affine" for n in self.output_order):
            raise BadEquation(f"{kind}.output uses an affine map: affine maps belong in step")

    @cached_property
    def maps(self) -> dict[str, Node]:
        """Affine maps by name, in the order of their use."""
        return {n.name: n for n in self.order if n.op == "affine"}

    @cached_property
    def vectors(self) -> dict[str, Node]:
        """Parameters per unit by name, in the order of their use."""
        return {n.name: n for n in (*self.order, *self.output_order) if n.op == "parameter"}

    @cached_property
    def static_nodes(self) -> frozenset[Node]:
        """Nodes that depend on no leaf: the same at every time step."""
        nodes: set[Node] = set()
        for node in (*self.order, *self.output_order):
            if node.op not in ("leaf", "affine") and all(a in nodes for a in node.nodes):
                nodes.add(node)
        return frozenset(nodes)


def width(size: Size, sizes: Sizes) -> int:
    """How many numbers a value of this size holds in a network with these sizes."""
    return sizes[size] if isinstance(size, str) else sizes[size[0]] * sizes[size[1]]
