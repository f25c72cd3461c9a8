"""Which part of a genome is which weight.

Layers follow each other. A layer has its maps in the order of their use (per source a matrix [rows, columns],
row-major, then the bias), its vectors, and its learned initial states. The read-out [O, H], [O] comes last.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from evornn.arrays import Floats, Genome, Genomes
from evornn.cell import BadEquation, Bound, Cell, Trace, Uniform, width
from evornn.errors import EvornnError
from evornn.ops import Node, Sizes


@dataclass(frozen=True)
class Block:
    """A named group of parameters. With a mask, the genome holds only the weights where it is True."""

    name: str  # "0.f.x": layer 0, map f, source x; "0.f.bias"; "0.tau"; "0.h.initial"; "readout.weight"
    start: int
    shape: tuple[int, ...]  # [rows, columns] or [rows]
    initial: Uniform
    mask: NDArray[np.bool_] | None = None

    @property
    def size(self) -> int:
        """How many numbers of the genome the block takes."""
        return math.prod(self.shape) if self.mask is None else int(self.mask.sum())

    @property
    def slice(self) -> slice:
        """Where in the genome they are."""
        return slice(self.start, self.start + self.size)


BlockSpec: TypeAlias = tuple[str, tuple[int, ...], Uniform, "NDArray[np.bool_] | None"]  # a block without its start


class BaseLayout(ABC):
    """A network at a given size, as far as it does not matter what computes it: the blocks of its genome, and the state
    that it carries from one call to the next."""

    inputs: int
    outputs: int
    layers: int
    size: str  # for display: "2→8→1"
    padding: float = 0.0  # the inputs after a sequence's last step

    @property
    @abstractmethod
    def states(self) -> tuple[str, ...]:
        """The states that a call needs to continue an earlier one."""

    @abstractmethod
    def carried_sizes(self, layer: int) -> dict[str, int]:
        """All that a call hands to the next one: name → size."""

    @property
    @abstractmethod
    def value_counts(self) -> tuple[int, int]:
        """How many numbers one step of one sequence computes, and how many of them are kept to the end of a call."""

    @property
    def dropout_width(self) -> int:
        """D, how many values go from layer to layer in a step, which dropout multiplies by factors: these are behind
        the inputs, [B, T, I + D], those of one layer after the other."""
        return 0

    @property
    def fixed_weights(self) -> Mapping[str, Floats]:
        """Weights that the architecture fixes, by the names that their blocks would have: no genome holds them."""
        return {}

    def check_inputs(self, inputs: Any) -> None:
        """Raises EvornnError for inputs [B, T, I] that have no meaning for the architecture."""

    @abstractmethod
    def _parts(self) -> Iterator[BlockSpec]: ...

    @cached_property
    def blocks(self) -> dict[str, Block]:
        """The genome's blocks by name, in order."""
        blocks: dict[str, Block] = {}
        start = 0
        for name, shape, initial, mask in self._parts():
            blocks[name] = Block(name, start, shape, initial, mask)
            start += blocks[name].size
        return blocks

    @cached_property
    def n(self) -> int:
        """The number of parameters of one network."""
        return sum(block.size for block in self.blocks.values())

    @cached_property
    def is_weight(self) -> NDArray[np.bool_]:
        """[n] True for a weight of a matrix; False for a bias, another number per unit, an initial state."""
        return np.concatenate([np.full(block.size, len(block.shape) > 1) for block in self.blocks.values()])

    # ---- the initial distribution ------------------------------------------------------------------------------

    @cached_property
    def centre(self) -> Genome:
        """[n] mean of the initial distribution."""
        return self._broadcast([b.initial.mean for b in self.blocks.values()])

    @cached_property
    def scale(self) -> Genome:
        """[n] standard deviation of the initial distribution."""
        return self._broadcast([b.initial.std for b in self.blocks.values()])

    def sample(self, count: int, rng: np.random.Generator) -> Genomes:
        """[count, n] genomes from the initial distribution. Row p does not depend on `count`."""
        # numbers are drawn row by row, so that row p is the same for every count
        low = self._broadcast([b.initial.low for b in self.blocks.values()])
        high = self._broadcast([b.initial.high for b in self.blocks.values()])
        return low + (high - low) * rng.random((count, self.n), np.float32)

    def _broadcast(self, values: list[Bound]) -> Genome:
        sizes = [block.size for block in self.blocks.values()]
        return np.concatenate([np.broadcast_to(np.float32(v), k) for v, k in zip(values, sizes, strict=True)])


class Layout(BaseLayout):
    """All that a kernel needs to know of a network of cells: the traces of its layers, their sizes, and the genome's
    blocks."""

    def __init__(
        self,
        cell: Cell,
        inputs: int,
        units: int,
        outputs: int,
        layers: int,
        initial_state: Literal["zero", "learned"],
        readout: bool = True,
    ) -> None:
        self.cell, self.inputs, self.units, self.outputs, self.layers = cell, inputs, units, outputs, layers
        self.initial_state, self.size = initial_state, "→".join(map(str, [inputs, *[units] * layers, outputs]))
        self.trace: Trace = cell.trace()
        self.readout = readout and cell.readout  # without a read-out the outputs are the first units
        if not self.readout and self.width < outputs:
            raise EvornnError(
                f"the first {outputs} units are the outputs, but there are only {self.width}: "
                f"set units to {outputs} or more"
            )

    def sizes(self, layer: int) -> Sizes:
        """The sizes that the names in a layer's equation stand for."""
        base = {
            "inputs": self.inputs if layer == 0 else self.width,
            "units": self.units,
            "outputs": self.outputs,
            "one": 1,
        }
        return {**base, **self.cell.extents(base)}

    @cached_property
    def width(self) -> int:
        """How many values a layer puts out, to the next layer or the read-out."""
        base = {"inputs": self.inputs, "units": self.units, "outputs": self.outputs, "one": 1}
        return width(self.trace.output.size, {**base, **self.cell.extents(base)})

    @property
    def dropout_width(self) -> int:
        return (self.layers - 1) * self.width

    def state_sizes(self, layer: int) -> dict[str, int]:
        """The states of a layer: name → size."""
        return {s: width(self.trace.leaves[s].size, self.sizes(layer)) for s in self.trace.states}

    @property
    def states(self) -> tuple[str, ...]:
        return self.trace.states

    def carried_sizes(self, layer: int) -> dict[str, int]:
        """The states, and where the equation uses them the fed-back output and the time."""
        others = {"y": self.outputs, "t": 1}
        used = {name: size for name, size in others.items() if name in self.trace.leaves}
        return {**self.state_sizes(layer), **used}

    @property
    def value_counts(self) -> tuple[int, int]:
        return len(self.trace.order) * self.units * self.layers + self.outputs, self.width + self.outputs

    @cached_property
    def fixed_weights(self) -> dict[str, Floats]:
        """[rows, columns] of each, by name."""
        weights = {}
        for layer in range(self.layers):
            sizes = self.sizes(layer)
            for node in self.trace.maps.values():
                for k, full, shape in self._matrices(node, layer, sizes):
                    values = self.cell.fixed_weights(node.name, k, sizes, layer)
                    self._check_shape("fixed", full, shape, values)
                    if values is not None:
                        weights[full] = np.asarray(values, np.float32)
        return weights

    def _matrices(self, node: Node, layer: int, sizes: Sizes) -> Iterator[tuple[int, str, tuple[int, int]]]:
        """For each source of a map: its number, the name of its weights, their shape."""
        rows = width(node.size, sizes)
        for k, (source, label) in enumerate(zip(node.nodes, source_names(node), strict=True)):
            yield k, f"{layer}.{node.name}.{label}", (rows, width(source.size, sizes))

    def _parts(self) -> Iterator[BlockSpec]:
        for layer in range(self.layers):
            yield from self._layer(layer, self.sizes(layer))
        if self.readout:
            bound = 1 / math.sqrt(self.width)
            yield "readout.weight", (self.outputs, self.width), Uniform(-bound, bound), None
            unbiased = None if self.cell.readout_bias else np.zeros(self.outputs, bool)
            yield "readout.bias", (self.outputs,), Uniform(-bound, bound), unbiased

    def _layer(self, layer: int, sizes: Sizes) -> Iterator[BlockSpec]:
        cell = self.cell
        for name, node in self.trace.maps.items():
            # weights of the sources, unless fixed; a mask leaves some of them out of the genome
            for k, full, shape in self._matrices(node, layer, sizes):
                if full not in self.fixed_weights:
                    mask = cell.mask(name, k, sizes)
                    self._check_shape("mask", full, shape, mask)
                    yield full, shape, cell.initial(name, "weight", sizes), mask
            if node.bias:
                bias = (width(node.size, sizes),)
                yield f"{layer}.{name}.bias", bias, cell.initial(name, "bias", sizes), None
        for name, node in self.trace.vectors.items():
            yield f"{layer}.{name}", (width(node.size, sizes),), cell.initial(name, "vector", sizes), None
        if self.initial_state == "learned":
            for state, size in self.state_sizes(layer).items():
                yield f"{layer}.{state}.initial", (size,), Uniform(-0.1, 0.1), None

    def _check_shape(self, method: str, name: str, shape: tuple[int, ...], array: NDArray[Any] | None) -> None:
        if array is not None and array.shape != shape:
            kind = type(self.cell).__name__
            raise BadEquation(f"{kind}.{method} must be {list(shape)} for {name}, got {list(array.shape)}")


def source_names(node: Node) -> list[str]:
    """A label for each source of a map: its name if that is unique (x, h), else its operation or name with its number
    (mul1)."""
    names = [source.name for source in node.nodes]
    return [
        source.name if source.name and names.count(source.name) == 1 else f"{source.name or source.op}{k}"
        for k, source in enumerate(node.nodes)
    ]
