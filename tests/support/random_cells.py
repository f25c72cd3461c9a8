"""Cells that nobody would write: random expressions, for kernels that claim to know every equation. Nothing in them
jumps: where it does, single and double precision may part."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from evornn.cell import Cell, Uniform, Weights
from evornn.ops import (
    Node,
    Sizes,
    absolute,
    constant,
    cos,
    every,
    exp,
    maximum,
    minimum,
    outer,
    relu,
    sigmoid,
    sin,
    stop_gradient,
    tanh,
    walk,
    where,
)  # fmt: skip

ONE: list[Callable[[Node], Node]] = [
    tanh, sigmoid, relu, sin, cos, absolute, stop_gradient, tanh, sigmoid,
    lambda a: -a, lambda a: 1 - a, lambda a: exp(-absolute(a)),
    lambda a: a / 2, lambda a: 0.5 / (1 + a * a), lambda a: 1 - a * a, lambda a: a * (1 - a), lambda a: a * 1.0,
]  # fmt: skip
TWO: list[Callable[[Node, Node], Node]] = [
    lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b, minimum, maximum,
    lambda a, b: a * tanh(b), lambda a, b: sigmoid(a + b), lambda a, b: a * (1 - b), lambda a, b: a / (1 + b * b),
]  # fmt: skip
MORE: list[Callable[[Node, Node, Node], Node]] = [
    lambda a, b, c: (1 - a) * b + a * c, lambda a, b, c: a * b + c, lambda a, b, c: a * b - c,
    lambda a, b, c: c - a * b, lambda a, b, c: a + b - c, lambda a, b, c: a + b + c, lambda a, b, c: c + a * (b - c),
    lambda a, b, c: a * b + c * a, lambda a, b, c: a * b * (1 - c * c), lambda a, b, c: a * b - a * c,
]  # fmt: skip


class Random(Cell):
    """The expressions follow from a seed."""

    seed = 0
    sizes = {"k": "one", "few": "one"}  # noqa: RUF012

    def initial(self, name: str, part: str, sizes: Sizes) -> Uniform:
        return Uniform(-0.4, 0.4)

    def _any(self, rng: np.random.Generator, values: list[Node]) -> Node:
        return values[rng.integers(len(values))]

    def _grown(self, rng: np.random.Generator, values: list[Node], count: int, w: Weights, maps: list[Node]) -> None:
        """Append so many expressions to a list; `maps` what affine maps may read besides, [] for none of them."""
        for k in range(count):
            choice = rng.random()
            if maps and choice < 0.25:
                sources = [self._any(rng, [*maps, *values]) for _ in range(rng.integers(1, 7))]
                sources = [n for n in dict.fromkeys(sources) if self._moves(n)] or [maps[0]]
                bias = bool(rng.random() < 0.7)
                values.append(getattr(w, f"m{k}")(*sources, bias=bias))
            elif choice < 0.3:
                ramp = constant(lambda sizes: np.linspace(0.5, 1.5, sizes["units"]))
                factor = getattr(w, f"p{rng.integers(2)}")
                values.append(self._any(rng, values) * (factor if rng.random() < 0.7 else sigmoid(factor * ramp)))
            elif choice < 0.33:
                values.append(self._any(rng, values) * sigmoid(w.k))
            elif choice < 0.36:
                ramp = constant(lambda sizes: np.linspace(-1, 1, sizes["units"]))
                values.append(self._any(rng, values) + ramp)
            else:
                group = (ONE, TWO, MORE)[rng.integers(3)]
                function, arity = group[rng.integers(len(group))], (ONE, TWO, MORE).index(group) + 1
                values.append(function(*(self._any(rng, values) for _ in range(arity))))  # type: ignore[operator]

    def _moves(self, node: Node) -> bool:
        """Whether a value differs from step to step: maps take no others."""
        return node.op in ("leaf", "affine") or any(map(self._moves, node.nodes))

    def _new(self, w: Weights, x: Node, y: Node, t: Node, states: tuple[Node, ...]) -> tuple[Node, ...]:
        rng = np.random.default_rng(self.seed)
        given = [x, *([y] if rng.random() < 0.3 else []), *([t / 20] if rng.random() < 0.2 else [])]
        if rng.random() < 0.2:
            given.append(outer(states[0], x))
        values = [*states, w.first(x, *states)]
        if rng.random() < 0.2:
            values.append(where(every(2.0, t), values[-1], states[0]))
        self._grown(rng, values, int(rng.integers(2, 16)), w, given)
        ends = [self._any(rng, values[len(states) :]) for _ in states]
        ends[0] = values[-1]
        if len(states) > 1 and rng.random() < 0.15:
            ends[-1] = (sigmoid(w.level), w.level, constant(lambda sizes: np.ones(sizes["units"])))[rng.integers(3)]
        return tuple(n if rng.random() < 0.2 and n in values[: len(states) + 1] else tanh(n) for n in ends)

    def _out(self, w: Weights, states: tuple[Node, ...]) -> Node:
        rng = np.random.default_rng(self.seed + 10**6)
        values = list(states)
        if rng.random() < 0.5:
            self._grown(rng, values, int(rng.integers(1, 4)), w, [])
        return values[-1] if states[0] in walk(values[-1]) else states[0]  # the other states may be constant


class OneState(Random):
    def step(self, w: Weights, x: Node, y: Node, t: Node, h: Node) -> tuple[Node, ...]:
        return self._new(w, x, y, t, (h,))

    def output(self, w: Weights, h: Node) -> Node:
        return self._out(w, (h,))


class TwoStates(Random):
    state = ("h", "c")

    def step(self, w: Weights, x: Node, y: Node, t: Node, h: Node, c: Node) -> tuple[Node, ...]:
        return self._new(w, x, y, t, (h, c))

    def output(self, w: Weights, h: Node, c: Node) -> Node:
        return self._out(w, (h, c))


class ThreeStates(Random):
    state = ("h", "c", "d")

    def step(self, w: Weights, x: Node, y: Node, t: Node, h: Node, c: Node, d: Node) -> tuple[Node, ...]:
        return self._new(w, x, y, t, (h, c, d))

    def output(self, w: Weights, h: Node, c: Node, d: Node) -> Node:
        return self._out(w, (h, c, d))


def random_cell(seed: int) -> Cell:
    made = (OneState, TwoStates, ThreeStates)[seed % 3]()
    made.seed = seed
    return made
