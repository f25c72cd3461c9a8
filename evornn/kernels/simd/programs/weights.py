"""Packing: a genome's numbers go into packed weights, in the order in which `tiles` reads them, and come back out of a
packed gradient, in the order in which products leave it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from evornn.kernels.simd.interpreter.tiles import heights
from evornn.kernels.simd.programs.equation import Group
from evornn.layout import Layout, source_names
from evornn.ops import Node

# Per weight its position in the genome; −1: none; −2 − k: the k-th of the weights that the architecture fixes
Index = NDArray[np.int64]


class PackedWeights:
    """The packed weights: `index` and `template` [weights] say where each comes from, the genome or, where it has none
    (−1), the template. `positions` [n] is each parameter's place in the packed gradient, −1 where it has none."""

    def __init__(self, layout: Layout, vectors: int) -> None:
        self.layout, self.vectors = layout, vectors
        self.parts: list[tuple[Index, NDArray[np.float32]]] = [(np.full(1, -1), np.zeros(1, np.float32))]
        self.size, self.gradient_size = 1, 0
        self.positions = np.full(layout.n, -1, np.int32)
        self.fixed_values = np.concatenate(
            [np.zeros(0, np.float32), *(values.ravel() for values in layout.fixed_weights.values())]
        )
        ends = np.cumsum([values.size for values in layout.fixed_weights.values()])
        self.fixed_index = {
            name: -2 - np.arange(end - values.size, end).reshape(values.shape)
            for (name, values), end in zip(layout.fixed_weights.items(), ends, strict=True)
        }

    @property
    def index(self) -> NDArray[np.int32]:
        """[weights] the position in the genome, −1: none."""
        return np.concatenate([part for part, _ in self.parts]).astype(np.int32)

    @property
    def template(self) -> NDArray[np.float32]:
        """[weights] the number where the genome has none."""
        return np.concatenate([values for _, values in self.parts])

    # ---- packed weights: each returns the position of the first one -------------------------------------------------

    def product(self, matrices: Sequence[Index], biases: Index) -> int:
        """Pack the weights of a product [rows, columns], one matrix for each source."""
        return self._pack(pack_tiles(matrices, biases, self.vectors))

    def product_without_bias(self, matrices: Sequence[Index]) -> int:
        """Pack the weights of a product that is added to its target."""
        return self._pack(pack_tiles(matrices, None, self.vectors))

    def vector(self, index: Index) -> int:
        """Pack a vector of parameters."""
        return self._pack(index)

    def constant(self, values: NDArray[np.float32]) -> int:
        """Pack numbers that are no parameters."""
        return self._pack(np.full(len(values), -1), values)

    def _pack(self, index: Index, values: NDArray[np.float32] | None = None) -> int:
        flat = index.ravel().astype(np.int64)
        if values is None:
            values = np.zeros(flat.size, np.float32)
            values[flat < -1] = self.fixed_values[-2 - flat[flat < -1]]
        self.parts.append((np.maximum(flat, -1), values))
        self.size += index.size
        return self.size - index.size

    # ---- the packed gradient ----------------------------------------------------------------------------------------

    def product_gradient(self, matrix: Index) -> int:
        """Reserve room for a matrix as `instructions.product` leaves it."""
        start = self.gradient_size
        places, self.gradient_size = product_positions(len(matrix), matrix.shape[1], start)
        self._place(matrix, places)
        return start

    def vector_gradient(self, index: Index) -> int:
        """Reserve room for a vector."""
        start = self.gradient_size
        self._place(index, np.arange(start, start + index.size))
        self.gradient_size += index.size
        return start

    def _place(self, index: Index, places: Index) -> None:
        is_parameter = index >= 0
        self.positions[index[is_parameter]] = places[is_parameter]

    # ---- blocks of the genome ---------------------------------------------------------------------------------------

    def block(self, name: str) -> Index:
        """The positions of a block's weights, in the block's shape."""
        if name in self.layout.fixed_weights:
            return self.fixed_index[name]
        block = self.layout.blocks[name]
        numbers = np.arange(block.start, block.start + block.size)
        if block.mask is None:
            return numbers.reshape(block.shape)
        positions = np.full(block.shape, -1)
        positions[block.mask] = numbers
        return positions

    def matrix(self, layer: int, group: Group, source: int) -> Index:
        """The weights of a group's maps, one below the other, from one of their sources.

        Args:
            layer: from 0.
            group: the maps.
            source: the number of the source.

        Returns:
            [rows of all maps, columns] positions.
        """
        return np.concatenate([self.block(self.block_name(layer, node, source)) for node in group.maps])

    def biases(self, layer: int, group: Group, rows: Sequence[int]) -> Index:
        """The biases of a group's maps.

        Args:
            layer: from 0.
            group: the maps.
            rows: of each map.

        Returns:
            [rows of all maps] positions; −1 for maps without bias.
        """
        none = [np.full(height, -1) for height in rows]
        return np.concatenate(
            [self.block(f"{layer}.{m.name}.bias") if m.bias else n for m, n in zip(group.maps, none, strict=True)]
        )

    def block_name(self, layer: int, node: Node, source: int) -> str:
        """The block of a map's weights from a source.

        Args:
            layer: from 0.
            node: the map.
            source: the number of the source.
        """
        return f"{layer}.{node.name}.{source_names(self.layout.trace.maps[node.name])[source]}"


def pack_tiles(matrices: Sequence[Index], biases: Index | None, vectors: int) -> Index:
    """Matrices in the order in which `tiles` reads them: tile by tile its biases, then for each column one weight per
    row.

    Args:
        matrices: [rows, columns] positions, one for each source.
        biases: [rows] positions; None: none.
        vectors: of a row, on which the tiles' heights depend.

    Returns:
        Flat positions; −1 for the rows that fill the last tile.
    """
    matrix = np.concatenate([*([] if biases is None else [biases[:, None]]), *matrices], 1)
    parts = [np.zeros(0, np.int64)]
    # column by column, the weights of a tile's rows; the bias is the first column
    for start, height in heights(len(matrix), vectors):
        tile = np.full((height, matrix.shape[1]), -1)
        rows = matrix[start : start + height]
        tile[: len(rows)] = rows
        parts.append(tile.T.ravel())
    return np.concatenate(parts)


def product_positions(rows: int, columns: int, at: int) -> tuple[Index, int]:
    """Where a product leaves its sums: tiles of four rows by four columns, columns first; then each column that is
    left, eight rows at a time.

    Args:
        rows: of the product.
        columns: of the product.
        at: the first position.

    Returns:
        [rows, columns] positions, and the position after the last one.
    """
    places = np.zeros((-rows % 8 + rows, columns), np.int64)
    tiled = columns - columns % 4
    for r in range(0, rows, 4):
        tiles = np.arange(at, at + 4 * tiled).reshape(-1, 4, 4)
        places[r : r + 4, :tiled] = tiles.transpose(1, 0, 2).reshape(4, tiled)
        at += tiles.size
    for k in range(tiled, columns):
        places[:, k] = np.arange(at, at + len(places))
        at += len(places)
    return places[:rows], at
