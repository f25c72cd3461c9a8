"""The form of an architecture: a cell is one equation, written once and traced once into a small graph.

class GRU(Cell):
    def step(self, w, x, h):                              # x input, h last state; returns the new state
        z, r = sigmoid(w.z(x, h)), sigmoid(w.r(x, h))     # w.name(sources): an affine map, made by being used
        return (1 - z) * tanh(w.n(x, r * h)) + z * h      # w.name, not called: a per-unit parameter
"""

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
        return (self.low + self.high) / 2

    @property
    def std(self) -> Bound:
        return (self.high - self.low) / math.sqrt(12)

    def shift(self, by: Bound) -> Uniform:
        return Uniform(self.low + by, self.high + by)


class Cell(ABC):
    """One recurrent architecture. Its fields (see `evornn.settings`) are its settings, its `step` its equation.

    `step(w, x, *states)` takes symbols and returns the new states. Arguments named `x` (input), `y` (the network's last
    output) and `t` (time, 0, 1, …) are given; all others are the names in `state`, in that order. A `y` or `t` that the
    equation does not use, with the settings at hand, is not kept.
    """

    state: ClassVar[tuple[str, ...]] = ("h",)
    sizes: ClassVar[Mapping[str, str]] = {}  # of states, maps and vectors that are not "units" wide
    readout: ClassVar[bool] = True  # False: the first O units are the output, there is no read-out layer
    default_layers: ClassVar[int] = 1  # where nobody says how many
    size_fields: ClassVar[tuple[str, ...]] = (
        "units",
        "layers",
        "initial_state",
    )  # sizes of a network that it has a use for
    causal: ClassVar[bool] = True
    differentiable: ClassVar[bool] = True
    step: ClassVar[Callable[..., Any]]

    def _first(self, w: Weights, *states: Node) -> Node:
        return states[0]

    output: ClassVar[Callable[..., Node]] = _first  # what the read-out sees of the new states

    @property
    def readout_bias(self) -> bool:
        """Whether the read-out layer has a bias."""
        return True

    def extents(self, sizes: Sizes) -> Mapping[str, int]:
        """Further named sizes, computed from inputs, units and outputs; raises EvornnError where they don't fit."""
        return {}

    def mask(self, name: str, source: int, sizes: Sizes) -> NDArray[np.bool_] | None:
        """[rows, columns] which weights from source number `source` of map `name` exist; None: all."""
        return None

    def fixed_weights(self, name: str, source: int, sizes: Sizes, layer: int) -> NDArray[np.floating[Any]] | None:
        """[rows, columns] the weights from source number `source` of map `name`, where the architecture fixes them: no
        genome holds them. None: they are parameters. Random ones come from `Streams`, seeded by a setting."""
        return None

    def initial(self, name: str, part: str, sizes: Sizes) -> Uniform:
        """Initial distribution of part "weight" or "bias" of map `name`, or of the "vector" `name`.

        By default U[−1/√H, 1/√H] throughout, as torch's recurrent modules."""
        bound = 1 / math.sqrt(sizes["units"])
        return Uniform(-bound, bound)

    def trace(self) -> Trace:
        """Run `step` and `output` once on symbols. Raises BadEquation."""
        try:
            return Trace(self)
        except BadEquation:
            raise
        except Exception as error:  # whatever the author of the cell has overlooked
            raise BadEquation(f"{type(self).__name__}: {error}: look at its step and output") from error


class BadEquation(EvornnError):
    """A cell that cannot be computed; says why."""


class Weights:
    """What `w` is while tracing: `w.name(sources)` an affine map, `w.name` a vector of per-unit parameters."""

    def __init__(self, sizes: Mapping[str, str]) -> None:
        self._sizes = sizes

    def __getattr__(self, name: str) -> Parameter:
        return Parameter("parameter", (), self._sizes.get(name, "units"), name)


class Parameter(Node):
    """A per-unit parameter, until it is called: then an affine map of its sources."""

    def __call__(self, *sources: Node, bias: bool = True) -> Node:
        return Node("affine", sources, self.size, self.name, bias)


class Trace:
    """A cell's equation as a graph. `order` computes `new` (the new states) from the leaves; `output_order` computes
    `output` from the new states, which there stand as the state leaves."""

    def __init__(self, cell: Cell) -> None:
        weights, given = Weights(cell.sizes), list(inspect.signature(cell.step).parameters)[1:]
        self.cell, self.states = cell, cell.state
        self.leaves = {name: self._leaf(name) for name in [*given, *(s for s in cell.state if s not in given)]}
        new = cell.step(weights, *(self.leaves[name] for name in given))
        self.new_states: tuple[Node, ...] = new if isinstance(new, tuple) else (new,)
        self.output: Node = cell.output(weights, *(self.leaves[s] for s in cell.state))
        self.order, self.output_order = tuple(walk(*self.new_states)), tuple(walk(self.output))
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
        for name, node in self.maps.items():
            if any(n.op == "affine" and n.name == name and n is not node for n in self.order):
                raise BadEquation(f"{kind} uses the map w.{name} twice: give the second one another name")
        if any(n.op == "affine" for n in self.output_order):
            raise BadEquation(f"{kind}.output uses an affine map: those belong into step")

    @cached_property
    def maps(self) -> dict[str, Node]:
        """Affine maps by name, in order of use."""
        return {n.name: n for n in self.order if n.op == "affine"}

    @cached_property
    def vectors(self) -> dict[str, Node]:
        """Per-unit parameters by name, in order of use."""
        return {n.name: n for n in (*self.order, *self.output_order) if n.op == "parameter"}

    @cached_property
    def static_nodes(self) -> frozenset[Node]:
        """Nodes that no leaf leads to: the same at every time step."""
        nodes: set[Node] = set()
        for node in (*self.order, *self.output_order):
            if node.op not in ("leaf", "affine") and all(a in nodes for a in node.nodes):
                nodes.add(node)
        return frozenset(nodes)

    @cached_property
    def stages(self) -> int:
        """The longest chain of affine maps, each fed by the one before, within a step."""
        depth: dict[Node, int] = {}
        for node in self.order:
            depth[node] = max((depth[a] for a in node.nodes), default=0) + (node.op == "affine")
        return max(depth.values(), default=0)


def width(size: Size, sizes: Sizes) -> int:
    """How many numbers a value of this size is in the network at hand."""
    return sizes[size] if isinstance(size, str) else sizes[size[0]] * sizes[size[1]]
