"""What a generated kernel needs to know of one network: sizes and positions in the workspace, in the packed weights and
in the packed gradient."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from evornn.cell import width
from evornn.kernels.simd.generate import Source
from evornn.kernels.simd.program import Group
from evornn.kernels.simd.tiles import heights
from evornn.kernels.simd.vector import LANES
from evornn.layout import Layout, source_names
from evornn.ops import Node, Sizes

# A genome's position per weight; −1: there is none; −2 − k: the k-th of the weights that the architecture fixes
Index = NDArray[np.int64]


@dataclass(frozen=True)
class Workspace:
    """Memory of a thread, laid out for a number of frames."""

    asked: tuple[int, bool]  # frames, apart
    table: Index  # [layers · columns] for T
    floats: int
    cotangents: tuple[int, int, int]  # two places for those of states, and how many floats they take


class Plan:
    """`index`, `template` [weights]: the packed weights, from the genome or, where it has none, from the template;
    `positions` [n] in the packed gradient. Places in the workspace are in floats (rows ·
    vectors · LANES), those of weights and gradients in numbers; a second member's lie `twin` and `gtwin` further."""

    def __init__(self, source: Source, layout: Layout) -> None:
        self.source, self.program, self.layout = source, source.program, layout
        self.columns = {name: k for k, name in enumerate(source.symbols)}
        self.values: list[dict[str, int]] = [{} for _ in range(layout.layers)]
        self.parts: list[tuple[Index, NDArray[np.float32]]] = []
        self.last: Workspace | None = None
        self.weights, self.gradient_size, self.row = 0, 0, source.vectors * LANES
        self.fixed = np.concatenate([np.zeros(0, np.float32), *(values.ravel() for values in layout.fixed.values())])
        ends = np.cumsum([values.size for values in layout.fixed.values()])
        self.fixed_index = {
            name: -2 - np.arange(end - values.size, end).reshape(values.shape)
            for (name, values), end in zip(layout.fixed.items(), ends, strict=True)
        }
        self.positions = np.zeros(layout.n, np.int64)
        self.sizes = [layout.sizes(k) for k in range(layout.layers)]
        self.frame = self._frame()
        for layer in range(layout.layers):
            self._weights(layer)
        self._readout()
        if source.entry == "products":
            self.sums = self._sums()
        self.twin, self.gtwin = (-size % LANES + size + LANES for size in (self.weights, self.gradient_size))
        self.index = np.concatenate([part for part, _ in self.parts])
        self.template = np.concatenate([values for _, values in self.parts])

    def workspace(self, frames: int, apart: bool) -> Workspace:
        """For so many frames. `apart`: a row's vectors are sequences of one member, else they are two members. The last
        one is kept: small mini-batches ask for the same one thousands of times a second."""
        last = self.last  # another thread may change it meanwhile
        if last is None or last.asked != (frames, apart):
            self.last = last = self._workspace(frames, apart)
        return last

    def _table(self, values: list[dict[str, int]], apart: bool) -> Index:
        shared = {"apart": int(apart), "twin": 0 if apart else self.twin, "gtwin": 0 if apart else self.gtwin}
        found = np.zeros((self.layout.layers, len(self.columns)), np.int64)
        for layer, places in enumerate(values):
            for name, place in (places | shared).items():
                if name in self.columns:
                    found[layer, self.columns[name]] = place
        return found.ravel()

    # ---- the workspace ---------------------------------------------------------------------------------------------

    def _rows(self, layer: int, node: Node) -> int:
        return width(node.size, self.sizes[layer])

    def _named(self, kind: str) -> list[tuple[str, str | Node]]:
        return [(name, of) for name, (k, of) in self.source.symbols.items() if k == kind]

    def _frame(self) -> int:
        """Positions within a frame; returns its size."""
        layout, program = self.layout, self.program
        at = Counter(self.row)
        shared = {
            "y_row": at(padded(layout.outputs)),
            "t_row": at(1),
            "e_row": at(padded(layout.outputs)),
            "x_row": at(layout.inputs),  # just before the first state: together they are one source
        }
        for layer, values in enumerate(self.values):
            sizes = self.sizes[layer]
            values |= {name: _count(str(of), sizes) for name, of in self._named("rows")}
            values |= {f"state_{s}": at(width(program.leaves[s].size, sizes)) for s in program.states}
            for group in program.groups:
                self._block(layer, group, at)
            values |= {name: at(self._rows(layer, of)) for name, of in self._named("kept") if isinstance(of, Node)}
            values["out_row"] = at(self._rows(layer, program.output))
        if self.source.entry == "products":
            shared |= {"r_row": at(padded(layout.width + 1 + layout.outputs)), "c_row": at(layout.width + 1)}
        frame = at(0) // self.row | 1  # an odd number of rows: frames don't fall on the same cache sets
        for layer, values in enumerate(self.values):
            values |= shared | {
                "frame": frame * self.row,
                "inputs": layout.inputs,
                "outputs": layout.outputs,
                "out_rows": layout.width,
            }
            values["x_from"] = shared["x_row"] if layer == 0 else self._out(layer - 1, frame * self.row)
            values["out_from"] = self._out(layout.layers - 1, frame * self.row)
        return frame * self.row

    def _block(self, layer: int, group: Group, at: Counter) -> None:
        heights = [self._rows(layer, m) for m in group.maps]
        for kind, prefix in (("block", "map"), ("d_block", "d_map")):
            if kind == "d_block" and f"d_block_{group.name}" not in self.source.symbols:
                continue
            start = at(padded(sum(heights)))
            self.values[layer][f"{kind}_{group.name}"] = start
            for node, before in zip(group.maps, np.cumsum([0, *heights]), strict=False):
                self.values[layer][f"{prefix}_{node.name}"] = start + int(before) * self.row
        self.values[layer][f"height_{group.name}"] = sum(heights)

    def _out(self, layer: int, frame: int) -> int:
        """Where a layer's output is, seen from the frame of the step."""
        state = self.program.output_state
        return self.values[layer][f"state_{state}" if state else "out_row"] + frame

    def _workspace(self, frames: int, apart: bool) -> Workspace:
        layout, program, at = self.layout, self.program, Counter(self.row, frames * self.frame)
        widest = max(layout.inputs, layout.width)
        shared = {"target": at(layout.outputs), "dy": at(padded(layout.outputs)), "unused": at(padded(widest))}
        shared["total"] = at(1)
        d_states, found = Counter(self.row), [known | shared for known in self.values]
        for layer, values in enumerate(found):
            values |= {
                f"d_state_{s}": d_states(width(program.leaves[s].size, self.sizes[layer])) for s in program.states
            }
            for kind in ("d", "fixed", "d_fixed"):
                values |= {name: at(self._rows(layer, of)) for name, of in self._named(kind) if isinstance(of, Node)}
            values["d_out"] = at(layout.width)
        state = program.output_state
        for below, values in pairwise(found):
            values["below"] = below[f"d_state_{state}" if state else "d_out"]
        d_floats = d_states(16)
        d_here, d_there = at(d_floats // self.row + 16), at(d_floats // self.row + 16)
        floats, table = at(16) + 16 * self.row, self._table(found, apart)
        return Workspace((frames, apart), table, floats, (d_here, d_there, d_floats))

    # ---- weights and gradients -------------------------------------------------------------------------------------

    def _weights(self, layer: int) -> None:
        values, program, sizes = self.values[layer], self.program, self.sizes[layer]
        for group in program.groups:
            biases, matrices = self._indices(layer, group)
            values[f"weights_{group.name}"] = self._packed(matrices, biases)
            for k, matrix in enumerate(matrices):
                values[f"gradient_{group.name}_{k}"] = self._product(matrix)
            values[f"gradient_{group.name}_bias"] = self._product(biases[:, None])
        for name, (kind, of) in self.source.symbols.items():
            if kind == "back" and isinstance(of, Node):
                values[name] = self._packed(
                    [self._transposed(layer, g, of) for g in program.groups if of in g.sources], None
                )
            elif kind == "parameter":
                values[name] = self._pack(self._block_index(f"{layer}.{of}"))
            elif kind == "constant" and isinstance(of, Node) and of.values is not None:
                constant = np.asarray(of.values(sizes), np.float32)
                values[name] = self._pack(np.full(len(constant), -1), constant)
            elif kind == "sum":
                values[name] = self._vector(self._block_index(f"{layer}.{of}"))
            elif kind in ("initial", "sum_initial"):
                values[name] = -1
                if self.layout.initial_state == "learned":
                    block = self._block_index(f"{layer}.{of}.initial")
                    values[name] = self._pack(block) if kind == "initial" else self._vector(block)

    def _readout(self) -> None:
        if not self.layout.readout:
            return
        weight, bias = self._block_index("readout.weight"), self._block_index("readout.bias")
        found = {
            "readout": self._packed([weight], bias),
            "readout_back": self._packed([weight.T], None),
        }
        found |= {"readout_gradient": self._product(weight), "readout_bias": self._product(bias[:, None])}
        for values in self.values:
            values |= found

    def _indices(self, layer: int, group: Group) -> tuple[Index, list[Index]]:
        """[rows] of biases and, per source, [rows, columns] of a group's maps, one below the other."""
        biases, matrices = [], []
        for node in group.maps:
            rows = self._rows(layer, node)
            biases.append(self._block_index(f"{layer}.{node.name}.bias") if node.bias else np.full(rows, -1))
        for k in range(len(group.sources)):
            matrices.append(
                np.concatenate([self._block_index(f"{layer}.{n.name}.{self._label(n, k)}") for n in group.maps])
            )
        return np.concatenate(biases), matrices

    def _transposed(self, layer: int, group: Group, source: Node) -> Index:
        """[columns, rows] of a group's weights from a source."""
        return self._indices(layer, group)[1][group.sources.index(source)].T

    def _label(self, node: Node, k: int) -> str:
        return source_names(self.layout.trace.maps[node.name])[k]

    def _block_index(self, name: str) -> Index:
        if name in self.layout.fixed:
            return self.fixed_index[name]
        block = self.layout.blocks[name]
        numbers = np.arange(block.start, block.start + block.size)
        if block.mask is None:
            return numbers.reshape(block.shape)
        found = np.full(block.shape, -1)
        found[block.mask] = numbers
        return found

    def _packed(self, matrices: list[Index], biases: Index | None) -> int:
        """Weights of a product, one matrix per source, in the order in which `tiles` reads them."""
        return self._pack(packed(matrices, biases, self.source.vectors))

    def _pack(self, index: Index, values: NDArray[np.float32] | None = None) -> int:
        flat = index.ravel().astype(np.int64)
        if values is None:
            values = np.zeros(flat.size, np.float32)
            values[flat < -1] = self.fixed[-2 - flat[flat < -1]]
        self.parts.append((np.maximum(flat, -1), values))
        self.weights += index.size
        return self.weights - index.size

    def _sums(self) -> Index:
        """[H + 1 + O, H + 1] places of the sums for a read-out."""
        width = self.layout.width + 1
        places, self.gradient_size = product_places(width + self.layout.outputs, width, 0)
        return places

    def _product(self, matrix: Index) -> int:
        """A matrix's places in the packed gradient."""
        (rows, columns), start = matrix.shape, self.gradient_size
        places, self.gradient_size = product_places(rows, columns, start)
        self._place(matrix, places)
        return start

    def _vector(self, index: Index) -> int:
        start = self.gradient_size
        self._place(index, np.arange(start, start + index.size).reshape(index.shape))
        self.gradient_size += index.size
        return start

    def _place(self, index: Index, places: Index) -> None:
        there = index >= 0
        self.positions[index[there]] = places[there]


class Counter:
    """Hands out rows of the workspace: `at(rows)` is the position of the next ones."""

    def __init__(self, row: int, start: int = 0) -> None:
        self.row, self.next = row, start

    def __call__(self, rows: int) -> int:
        start, self.next = self.next, self.next + rows * self.row
        return start


def packed(matrices: list[Index], biases: Index | None, vectors: int) -> Index:
    """[rows, columns] per source → flat, in the order in which `tiles` reads them."""
    together = np.concatenate([*([] if biases is None else [biases[:, None]]), *matrices], 1)
    parts = []
    for start, height in heights(len(together), vectors):
        tile = np.full((height, together.shape[1]), -1)
        rows = together[start : start + height]
        tile[: len(rows)] = rows
        parts.append(tile.T.ravel())
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def padded(rows: int) -> int:
    """Rows that `microkernels.affine` may write."""
    return -rows % 16 + rows


def product_places(rows: int, columns: int, at: int) -> tuple[Index, int]:
    """[rows, columns] places in which `microkernels.product` writes, beginning at `at`, and the end of them."""
    places = np.zeros((-rows % 8 + rows, columns), np.int64)
    whole = columns - columns % 4
    for k in range(0, whole, 4):
        for r in range(0, rows, 4):
            places[r : r + 4, k : k + 4] = np.arange(at, at + 16).reshape(4, 4)
            at += 16
    for k in range(whole, columns):
        for r in range(0, rows, 8):
            places[r : r + 8, k] = np.arange(at, at + 8)
            at += 8
    return places[:rows], at


def _count(name: str, sizes: Sizes) -> int:
    first, _, second = name.partition("_by_")
    return sizes[first] * (sizes[second] if second else 1)
