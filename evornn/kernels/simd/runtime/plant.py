"""A plant's equations as straight-line code on SIMD vectors, written for LLVM from their trace, compiled at their first
use.

Interpreted, they would take twice as long: a control step of two poles is some 600 operations on single rows, too few
vectors for the cost of decoding an instruction. Compiling takes some tenths of a second, once per process.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

from llvmlite import ir

from evornn.kernels.simd.interpreter.functions import choose, equal
from evornn.kernels.simd.interpreter.operations import EMITTERS, OPERATIONS, PATTERNS
from evornn.kernels.simd.interpreter.vector import I64, LANES, Vector, floats, fma, pointer
from evornn.kernels.simd.programs.equation import Rewriter, UnsupportedEquation
from evornn.kernels.simd.runtime.machine_code import load_module
from evornn.ops import Node, Value, walk
from evornn.plant import PlantTrace

Vectors: TypeAlias = "tuple[Vector, ...]"  # those of a row
# rows behind the states: steps survived, reward, the error of Kahan's sum, whether the last step failed; then a ring of
# the last rewards, if only those count
COUNT, REWARD, LOST, FAILED, RECENT = range(5)


@lru_cache(64)
def compile_plant(plant: PlantTrace, vectors: int) -> tuple[int, int]:
    """Addresses of `advance(S, y, x, row)` and `observe(S, y, x, row)`: S are the plants' rows, y and x those of
    actions and observations, `row` the place of this step's reward in the ring. Raises UnsupportedEquation."""
    check(plant)
    module = ir.Module("plant")
    for name, write in (("advance", _advance), ("observe", _observe)):
        function = ir.Function(module, ir.FunctionType(ir.VoidType(), [I64] * 4), name)
        write(PlantWriter(plant, ir.IRBuilder(function.append_basic_block()), vectors, list(function.args)))
    return load_module(str(module), ("advance", "observe"))  # type: ignore[return-value]


def check(plant: PlantTrace) -> None:
    """Raises UnsupportedEquation for an operation that has no code."""
    values = (*plant.new_state, *plant.observations, plant.is_terminal, plant.reward)
    if unknown := {n.op for n in walk(*values)} - OPERATIONS.keys() - {"leaf", "stop"}:
        raise UnsupportedEquation(f"the operation {sorted(unknown)[0]}")


class PlantWriter:
    """Writes the code of one function: it knows the plant's leaves, and where rows lie."""

    def __init__(self, plant: PlantTrace, b: Any, vectors: int, arguments: list[Any]) -> None:
        self.plant, self.b, self.vectors = plant, b, vectors
        self.S, self.y, self.x, self.row = arguments
        self.rewrite = Rewriter()
        self.s, self.a = ([self.rewrite(n) for n in nodes] for nodes in (plant.s, plant.a))

    def load(self, base: Any, row: Any) -> Vectors:
        """The vectors of a row."""
        return tuple(Vector(self.b, self.b.load(place, align=4)) for place in self._places(base, row))

    def store(self, base: Any, row: Any, values: Vectors) -> None:
        """Store a row.

        Args:
            base: address.
            row: its number.
            values: its vectors.
        """
        for value, place in zip(values, self._places(base, row), strict=True):
            self.b.store(value.value, place, align=4)

    def _places(self, base: Any, row: Any) -> list[Any]:
        row = ir.Constant(I64, row) if isinstance(row, int) else row
        first = self.b.mul(row, ir.Constant(I64, self.vectors * LANES))
        return [pointer(self.b, base, self.b.add(first, ir.Constant(I64, v * LANES))) for v in range(self.vectors)]

    def map_vectors(self, function: Callable[..., Vector], *operands: Vectors) -> Vectors:
        """A function of vectors, applied to each vector of rows."""
        return tuple(function(*values) for values in zip(*operands, strict=True))

    def number(self, value: float) -> Vectors:
        """A number in every lane."""
        return tuple(Vector(self.b, floats(value)) for _ in range(self.vectors))

    def compute(self, expressions: Sequence[Value], leaves: dict[Node, Vectors]) -> list[Vectors]:
        """The values of expressions: equal ones are computed once, products and sums are fused."""
        values = [self.rewrite(v) if isinstance(v, Node) else v for v in expressions]
        # an inner value may vanish into a fused operation only if it has one reader, results included
        uses = Counter(a for n in walk(*values) for a in n.nodes) + Counter(v for v in values if isinstance(v, Node))
        computed = dict(leaves)

        def value_of(node: Value) -> Any:
            if not isinstance(node, Node):
                return node
            if node not in computed:
                computed[node] = self._operation(node, uses, computed, value_of)
            return computed[node]

        return [self.number(v) if not isinstance(v, Node) else value_of(v) for v in values]

    def _operation(self, node: Node, uses: Counter[Node], computed: dict[Node, Vectors], value_of: Any) -> Vectors:
        if node.op == "stop":
            return value_of(node.args[0])  # type: ignore[no-any-return]
        name, args = node.op, list(node.args)
        for pattern in PATTERNS:
            matched = pattern.root.op == node.op and pattern.match(node, lambda n: uses[n] == 1 and n not in computed)
            if matched:
                name, args = pattern.name, matched
                break
        operands = [value_of(a) for a in args]
        vectors = [x if isinstance(x, tuple) else (x,) * self.vectors for x in operands]
        return self.map_vectors(EMITTERS[name], *vectors)


def _observe(w: PlantWriter) -> None:
    """Write `observe`: the network's inputs from the plant's states."""
    states = {node: w.load(w.S, k) for k, node in enumerate(w.s)}
    for k, value in enumerate(w.compute(w.plant.observations, states)):
        w.store(w.x, k, value)
    w.b.ret_void()


def _advance(w: PlantWriter) -> None:
    """Write `advance`: all integration steps of a control step, its results, and the network's next inputs."""
    b, plant = w.b, w.plant
    actions = {node: w.load(w.y, k) for k, node in enumerate(w.a)}
    # a loop over the integration steps, whose states are phi nodes: the old ones at first, then those of the last step
    begin, loop, end = b.block, b.append_basic_block("substeps"), b.append_basic_block("end")
    first = [w.load(w.S, k) for k in range(len(w.s))]
    b.branch(loop)
    b.position_at_end(loop)
    done = b.phi(I64)
    states = [[b.phi(v.value.type) for v in values] for values in first]
    s = {node: tuple(Vector(b, p) for p in phis) for node, phis in zip(w.s, states, strict=True)}
    new_states = w.compute(plant.new_state, {**actions, **s})
    more = b.add(done, ir.Constant(I64, 1))
    done.add_incoming(ir.Constant(I64, 0), begin)
    done.add_incoming(more, b.block)
    for phis, before, after in zip(states, first, new_states, strict=True):
        for phi, x, y in zip(phis, before, after, strict=True):
            phi.add_incoming(x.value, begin)
            phi.add_incoming(y.value, b.block)
    b.cbranch(b.icmp_signed("<", more, ir.Constant(I64, plant.substeps)), loop, end)
    b.position_at_end(end)
    for k, values in enumerate(new_states):
        w.store(w.S, k, values)
    new = dict(zip(w.s, new_states, strict=True))
    _update_results(w, {**actions, **new})
    for k, values in enumerate(w.compute(plant.observations, new)):
        w.store(w.x, k, values)
    b.ret_void()


def _update_results(w: PlantWriter, leaves: dict[Node, Vectors]) -> None:
    """Write: whether the step has failed (a state that is not finite fails too), the steps survived, the reward."""
    n = len(w.s)
    failed, reward = w.compute((w.plant.is_terminal, w.plant.reward), leaves)
    # Σ 0·s is 0 where all states are finite, else NaN
    zero = w.map_vectors(lambda x: x * 0, leaves[w.s[0]])
    for node in w.s[1:]:
        zero = w.map_vectors(lambda x, z: fma(x, 0, z), leaves[node], zero)
    failed = w.map_vectors(lambda z, x: choose(equal(z, 0), x, x.like(1)), zero, failed)
    count = w.map_vectors(lambda c, x: c + choose(x, x.like(0), x.like(1)), w.load(w.S, n + COUNT), failed)
    w.store(w.S, n + COUNT, count)
    w.store(w.S, n + FAILED, failed)
    if w.plant.window:
        at = w.b.add(w.row, ir.Constant(I64, n + RECENT))
        w.store(w.S, at, w.map_vectors(choose, failed, w.load(w.S, at), reward))
    elif w.plant.reward == 1.0:
        w.store(w.S, n + REWARD, count)
    else:
        _add_up(w, n, failed, reward)


def _add_up(w: PlantWriter, n: int, failed: Vectors, reward: Vectors) -> None:
    """Write Kahan's sum: 100,000 rewards add up as if in double precision."""
    total, lost = w.load(w.S, n + REWARD), w.load(w.S, n + LOST)
    part = w.map_vectors(lambda x, new, old: choose(x, x.like(0), new - old), failed, reward, lost)
    more = w.map_vectors(lambda t, p: t + p, total, part)
    w.store(
        w.S, n + LOST, w.map_vectors(lambda x, m, t, p: choose(x, x.like(0), (m - t) - p), failed, more, total, part)
    )
    w.store(w.S, n + REWARD, more)
