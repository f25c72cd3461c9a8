"""The inner loops of matrix products, as single instructions of numba's: some rows at a time in registers while the
columns run. They are written here in LLVM's code, since numba takes many times as long to get there from Python.

Weights are packed in the order of reading (`plan.packed`): per tile its biases, then per source and column one weight
per row. A row's sum has the same order in every tile, but for rows that are computed alone, with four partial sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import product
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from evornn.kernels.simd.vector import FLOATS, LANES, floats, fused, spread

I64 = ir.IntType(64)
HEIGHTS = {1: (16, 8), 2: (8,)}  # rows of a tile, by vectors per row: about 16 sums in registers
PARTS = 4  # partial sums of a row that is computed alone


def heights(rows: int, vectors: int) -> list[tuple[int, int]]:
    """(first row, height) of the tiles of a product; the last one may be higher than what is left."""
    found, r = [], 0
    for height in HEIGHTS[vectors]:
        while rows - r >= max(4, height - 4):
            found.append((r, height))
            r += height
    return [*found, *((k, 1) for k in range(r, rows))]


class Writer:
    """Writes one tile: `sources` are (first row, rows) of what the columns are multiplied with."""

    def __init__(self, b: Any, Z: Any, W: Any, w: Any, twin: Any, vectors: int, own: bool, wide: bool) -> None:
        self.b, self.Z, self.W, self.twin = b, Z, W, twin
        self.vectors, self.own, self.wide = vectors, own, wide
        self.w = cgutils.alloca_once_value(b, w)

    def tile(self, height: int, to: Any, sources: Sequence[tuple[Any, Any]], add: bool) -> Any:
        """Rows `to`, `to` + ROW, … as sums over the columns; with `add` on top of what is there, else of their biases.
        Returns where the next tile's weights are."""
        b, each = self.b, list(product(range(height), range(self.vectors)))
        places = {(r, v): self._at(to, (r * self.vectors + v) * LANES) for r, v in each}
        sums = {(r, v): self._sum(self._load(places[r, v]) if add else self._weight(r, v)) for r, v in each}
        if not add:
            self._on(height)
        for start, count in sources:
            row = cgutils.alloca_once_value(b, start)
            with cgutils.for_range(b, count):
                x = [self._load(self._at(b.load(row), v * LANES)) for v in range(self.vectors)]
                for r in range(height):
                    self._add(sums, r, x, r)
                self._on(height)
                b.store(self._at(b.load(row), self.vectors * LANES), row)
        for key, place in places.items():
            self._store(place, b.load(sums[key]))
        return b.load(self.w)

    def row(self, to: Any, sources: Sequence[tuple[Any, Any]], add: bool) -> Any:
        """One row, in `PARTS` partial sums."""
        b, zero, each = self.b, floats(0), range(self.vectors)
        places = [self._at(to, v * LANES) for v in each]
        first = [self._load(place) if add else self._weight(0, v) for v, place in enumerate(places)]
        sums = {(k, v): self._sum(zero if k else first[v]) for k in range(PARTS) for v in each}
        if not add:
            self._on(1)
        four, stride = ir.Constant(I64, PARTS), self.vectors * LANES
        for start, count in sources:
            row = cgutils.alloca_once_value(b, start)
            for steps, wide in ((b.sdiv(count, four), PARTS), (b.srem(count, four), 1)):
                with cgutils.for_range(b, steps):
                    for k in range(wide):
                        x = [self._load(self._at(b.load(row), k * stride + v * LANES)) for v in each]
                        self._add(sums, k, x, k)
                    self._on(wide)
                    b.store(self._at(b.load(row), wide * stride), row)
        for v, place in enumerate(places):
            s = [b.load(sums[k, v]) for k in range(PARTS)]
            self._store(place, b.fadd(b.fadd(s[0], s[1]), b.fadd(s[2], s[3])))
        return b.load(self.w)

    def _add(self, sums: dict[tuple[int, int], Any], key: int, x: Sequence[Any], number: int) -> None:
        """Weight `number` times x to the sums `key` of all vectors."""
        weight = None
        for v, value in enumerate(x):
            weight = self._weight(number, v) if weight is None or self.own else weight
            place = sums[key, v]
            self.b.store(fused(self.b, weight, value, self.b.load(place)), place)

    def _weight(self, number: int, vector: int) -> Any:
        """A weight in every lane, or 16 members' weights."""
        place = self._at(self.b.load(self.w), number)
        if self.own and vector:
            place = self.b.add(place, self.twin)
        if self.wide:
            return self._vector(self.W, self.b.mul(place, ir.Constant(I64, LANES)))
        return spread(self.b, self.b.load(self.b.gep(self.W, [place])))

    def _sum(self, value: Any) -> Any:
        return cgutils.alloca_once_value(self.b, value)

    def _on(self, count: int) -> None:
        self.b.store(self._at(self.b.load(self.w), count), self.w)

    def _at(self, start: Any, by: int) -> Any:
        return self.b.add(start, ir.Constant(I64, by)) if by else start

    def _load(self, place: Any) -> Any:
        return self._vector(self.Z, place)

    def _vector(self, array: Any, place: Any) -> Any:
        return self.b.load(self.b.bitcast(self.b.gep(array, [place]), FLOATS.as_pointer()), align=4)

    def _store(self, place: Any, value: Any) -> None:
        self.b.store(value, self.b.bitcast(self.b.gep(self.Z, [place]), FLOATS.as_pointer()), align=4)


@cache
def tile(height: int, add: bool, vectors: int, own: bool, across: str) -> Any:
    """An intrinsic (Z, W, w, twin, to, sources) → w behind the tile; sources are (s0, n0, s1, n1, …). `own`: the second
    vector has weights of its own; `across` the members, a weight is a vector. A height of 1 is a row alone."""

    def code(context: Any, b: Any, signature: Any, args: Any) -> Any:
        z, weights = (context.make_array(signature.args[k])(context, b, args[k]).data for k in (0, 1))
        numbers = cgutils.unpack_tuple(b, args[5], signature.args[5].count)
        sources = list(zip(numbers[::2], numbers[1::2], strict=True))
        writer = Writer(b, z, weights, args[2], args[3], vectors, own, across == "members")
        return writer.row(args[4], sources, add) if height == 1 else writer.tile(height, args[4], sources, add)

    @intrinsic  # type: ignore[untyped-decorator]
    def instruction(typing: Any, Z: Any, W: Any, w: Any, twin: Any, to: Any, sources: Any) -> Any:
        return types.int64(Z, W, types.int64, types.int64, types.int64, sources), code

    return instruction
