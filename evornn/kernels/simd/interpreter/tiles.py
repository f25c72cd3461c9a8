"""The inner loops of matrix products, as single instructions for numba: a tile of rows stays in registers while the
columns, or the time steps, run.

Weights are packed in the order of reading (`weights.pack_tiles`): for each tile its biases, then for each source and
column one weight per row. A row's sum has the same order in every tile, except for rows that are computed alone, which
have four partial sums.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import product as pairs
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from evornn.kernels.simd.interpreter.vector import I64, LANES, Vector, floats, fma, ints, pointer, splat, vector

HEIGHTS = {1: (16, 8), 2: (8,)}  # rows of a tile, by vectors in a row: about 16 sums in registers
PARTS = 4  # partial sums of a row that is computed alone


def heights(rows: int, vectors: int) -> list[tuple[int, int]]:
    """(first row, height) of a product's tiles; the last one may be higher than what is left."""
    tiles, r = [], 0
    for height in HEIGHTS[min(vectors, 2)]:
        while rows - r >= max(4, height - 4):
            tiles.append((r, height))
            r += height
    return [*tiles, *((k, 1) for k in range(r, rows))]


class CodeWriter:
    """Writes LLVM code; values that change in loops are variables, which LLVM puts into registers."""

    def __init__(self, b: Any) -> None:
        self.b = b

    def number(self, value: int) -> Any:
        """An integer constant."""
        return ir.Constant(I64, value)

    def plus(self, value: Any, by: int) -> Any:
        """An integer value plus a constant."""
        return self.b.add(value, self.number(by)) if by else value

    def variable(self, value: Any) -> Any:
        """A variable with this value."""
        return cgutils.alloca_once_value(self.b, value)

    @contextmanager
    def loop(self, count: Any) -> Iterator[Any]:
        """A loop; the context is its index."""
        with cgutils.for_range(self.b, count) as loop:
            yield loop.index

    def load(self, base: Any, position: Any) -> Any:
        """The vector at a position."""
        return self.b.load(pointer(self.b, base, position), align=4)

    def store(self, base: Any, position: Any, value: Any) -> None:
        """Store a vector.

        Args:
            base: address.
            position: in floats.
            value: the vector.
        """
        self.b.store(value, pointer(self.b, base, position), align=4)

    def accumulate(self, place: Any, x: Any, y: Any) -> None:
        """Add x·y to a sum, rounded once.

        Args:
            place: the sum, a variable.
            x: a vector.
            y: a vector.
        """
        self.b.store(fma(Vector(self.b, x), Vector(self.b, y), Vector(self.b, self.b.load(place))).value, place)


class AffineWriter(CodeWriter):
    """Rows `to`, `to` + row, … of W·[sources] + bias. `two_members`: the second vector has weights of its own,
    `weight_stride` further; `wide`: a weight is a vector, one for each of 16 members."""

    def __init__(
        self, b: Any, Z: Any, W: Any, w: Any, weight_stride: Any, vectors: int, two_members: bool, wide: bool
    ) -> None:
        super().__init__(b)
        self.Z, self.W, self.weight_stride, self.row = Z, W, weight_stride, vectors * LANES
        self.vectors, self.two_members, self.wide = vectors, two_members, wide
        self.w = self.variable(w)

    def compute(self, height: int, to: Any, sources: Any, count: Any, B: Any, add: Any) -> Any:
        """One tile.

        Args:
            height: its rows.
            to: position of the first one.
            sources: address of the operands in the instruction.
            count: how many sources.
            B: address of the bases.
            add: whether to add to the result's content, without bias.

        Returns:
            The position of the next tile's weights.
        """
        b, parts = self.b, PARTS if height == 1 else 1
        each = list(pairs(range(height), range(self.vectors)))
        places = {(r, v): self._row(to, r, v) for r, v in each}
        sums = {(r, v, k): self.variable(floats(0)) for r, v in each for k in range(parts)}
        # start from the result's content, or from the biases
        with b.if_else(b.icmp_signed("!=", add, self.number(0))) as (accumulate, new):
            with accumulate:
                for r, v in each:
                    b.store(self.load(self.Z, places[r, v]), sums[r, v, 0])
            with new:
                for r, v in each:
                    b.store(self._weight(r, v), sums[r, v, 0])
                self._advance(height)
        # add source after source; a row alone has four sums, so that its chain of additions is short
        with self.loop(count) as source:
            start, columns = self._source(sources, source, B)
            at = self.variable(start)
            if height > 1:
                self._columns(at, columns, 1, lambda r, v, k: sums[r, v, 0], height)
            else:
                four = self.number(PARTS)
                self._columns(at, b.sdiv(columns, four), PARTS, lambda r, v, k: sums[r, v, k], 1)
                self._columns(at, b.srem(columns, four), 1, lambda r, v, k: sums[r, v, 0], 1)
        for (r, v), place in places.items():
            s = [b.load(sums[r, v, k]) for k in range(parts)]
            self.store(self.Z, place, s[0] if height > 1 else b.fadd(b.fadd(s[0], s[1]), b.fadd(s[2], s[3])))
        return b.load(self.w)

    def _columns(self, at: Any, count: Any, unroll: int, sums: Callable[[int, int, int], Any], height: int) -> None:
        """Columns of a source, `unroll` at a time."""
        b = self.b
        with self.loop(count):
            for k in range(unroll):
                x = [self.load(self.Z, self.plus(b.load(at), k * self.row + v * LANES)) for v in range(self.vectors)]
                for r in range(height):
                    for v in range(self.vectors):
                        if v == 0 or self.two_members:
                            weight = self._weight(k * height + r, v)
                        self.accumulate(sums(r, v, k), weight, x[v])
            self._advance(unroll * height)
            b.store(self.plus(b.load(at), unroll * self.row), at)

    def _row(self, to: Any, r: int, v: int) -> Any:
        return self.plus(to, r * self.row + v * LANES)

    def _source(self, sources: Any, k: Any, B: Any) -> tuple[Any, Any]:
        """Where a source's rows begin, and how many they are."""
        b, four = self.b, self.number(4)  # floats in the two words of a source
        place = self._word(sources, b.mul(k, four))
        base = self._word(B, b.shl(b.and_(place, self.number(7)), self.number(1)))
        count = self._word(sources, self.plus(b.mul(k, four), 2))
        return b.add(base, b.ashr(place, self.number(3))), count

    def _word(self, base: Any, position: Any) -> Any:
        return self.b.load(pointer(self.b, base, position, I64))

    def _weight(self, number: int, vector: int) -> Any:
        """A weight in every lane, or 16 members' weights."""
        place = self.plus(self.b.load(self.w), number)
        if self.two_members and vector:
            place = self.b.add(place, self.weight_stride)
        if self.wide:
            return self.load(self.W, self.b.mul(place, self.number(LANES)))
        return splat(self.b, self.b.load(pointer(self.b, self.W, place, ir.FloatType())))

    def _advance(self, count: int) -> None:
        self.b.store(self.plus(self.b.load(self.w), count), self.w)


@cache
def tile(height: int, vectors: int) -> Any:
    """An instruction (Z, W, w, weight_stride, wide, to, sources, count, B, add) → w behind the tile. A height of 1 is a
    row by itself. `weight_stride` is 0 where all vectors have the same weights."""

    def code(context: Any, b: Any, signature: Any, given: Any) -> Any:
        Z, W, w, weight_stride, wide, to, *others = given
        result, zero = cgutils.alloca_once_value(b, w), ir.Constant(I64, 0)

        def compute(two_members: bool, across: bool) -> None:
            b.store(
                AffineWriter(b, Z, W, w, weight_stride, vectors, two_members, across).compute(height, to, *others),
                result,
            )

        # the variants differ in what a weight is; the branch is taken once per tile
        with b.if_else(b.icmp_signed("!=", wide, zero)) as branches:
            for across, branch in zip((True, False), branches, strict=True):
                with branch:
                    if vectors == 1:
                        compute(False, across)
                        continue
                    with b.if_else(b.icmp_signed("!=", weight_stride, zero)) as inner:
                        for own, part in zip((True, False), inner, strict=True):
                            with part:
                                compute(own, across)
        return b.load(result)

    @intrinsic  # type: ignore[untyped-decorator]
    def instruction(
        typing: Any, Z: Any, W: Any, w: Any, twin: Any, wide: Any, to: Any, sources: Any, count: Any, B: Any, add: Any
    ) -> Any:
        return types.int64(*[types.int64] * 10), code

    return instruction


class OuterWriter(CodeWriter):
    """Sums over time steps and vectors of D[t, row]·Z[t, column], for a tile of rows and columns."""

    def compute(self, height: int, width: int, arguments: Any) -> None:
        """One tile, added to G.

        Args:
            height: its rows.
            width: its columns.
            arguments: of the instruction, see `outer`.
        """
        Z, d, z, step, step_z, steps, span, row, wide, G, g = arguments
        b, each = self.b, list(pairs(range(height), range(width)))
        sums = [self.variable(floats(0)) for _ in each]
        p, q = self.variable(d), self.variable(z)
        with self.loop(steps):
            with self.loop(b.sdiv(span, self.number(LANES))) as k:
                v = b.mul(k, self.number(LANES))
                at = [b.add(b.load(place), v) for place in (p, q)]
                columns = [self.load(Z, b.add(at[1], b.mul(row, self.number(c)))) for c in range(width)]
                for r in range(height):
                    x = self.load(Z, b.add(at[0], b.mul(row, self.number(r))))
                    for c in range(width):
                        self.accumulate(sums[r * width + c], x, columns[c])
            for place, by in ((p, step), (q, step_z)):
                b.store(b.add(b.load(place), by), place)
        # wide: lanes are members, so the vectors are the result; else a member's result is the sum over lanes
        totals = [b.load(s) for s in sums]
        with b.if_else(b.icmp_signed("!=", wide, self.number(0))) as (across, alone):
            with across:  # of 16 members the vectors
                for k, value in enumerate(totals):
                    self._add(G, b.mul(self.plus(g, k), self.number(LANES)), value)
            with alone:  # of one member the sums over lanes
                self._add(G, g, sum_lanes(b, [*totals, *[floats(0)] * (LANES - len(totals))]))

    def _add(self, G: Any, place: Any, value: Any) -> None:
        self.store(G, place, self.b.fadd(self.load(G, place), value))


def sum_lanes(b: Any, vectors: list[Any]) -> Any:
    """16 vectors → one, whose lane k is the sum over the lanes of vector k."""
    width = LANES
    while width > 1:
        vectors = [_fold(b, x, y, width) for x, y in zip(vectors[::2], vectors[1::2], strict=True)]
        width //= 2
    return vectors[0]


def _fold(b: Any, x: Any, y: Any, width: int) -> Any:
    """Halve the runs of `width` lanes that are summed: those of x, then those of y."""
    runs = [list(range(k, k + width)) for k in range(0, 2 * LANES, width)]
    low = [lane for run in runs for lane in run[: width // 2]]
    high = [lane for run in runs for lane in run[width // 2 :]]
    return b.fadd(b.shuffle_vector(x, y, ints(low)), b.shuffle_vector(x, y, ints(high)))


@cache
def outer(height: int, width: int) -> Any:
    """An instruction (Z, d, z, step, step_z, steps, span, row, wide, G, g): a tile of a product over time, added to G
    from g. Time steps are `step` and `step_z` floats apart; `span` are the floats of a row that belong to the member.
    """

    def code(context: Any, b: Any, signature: Any, given: Any) -> Any:
        OuterWriter(b).compute(height, width, given)
        return context.get_dummy_value()

    @intrinsic  # type: ignore[untyped-decorator]
    def instruction(
        typing: Any, Z: Any, d: Any, z: Any, step: Any, step_z: Any, steps: Any, own: Any, row: Any, wide: Any, G: Any,
        g: Any,
    ) -> Any:  # fmt: skip
        return types.void(*[types.int64] * 11), code

    return instruction


@intrinsic  # type: ignore[untyped-decorator]
def add_lanes(typing: Any, G: Any, g: Any, value: Any) -> Any:
    """Add the sum over a vector's lanes to one number of G.

    Args:
        typing: numba's typing context.
        G: address of the packed gradient.
        g: position of the number.
        value: the vector.
    """

    def code(context: Any, b: Any, signature: Any, given: Any) -> Any:
        G, g, value = given
        place = pointer(b, G, g, ir.FloatType())
        total = b.extract_element(sum_lanes(b, [value, *[floats(0)] * (LANES - 1)]), ir.Constant(ir.IntType(32), 0))
        b.store(b.fadd(b.load(place), total), place)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, vector), code
