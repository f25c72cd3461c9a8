"""Cells that nobody would write on the SIMD kernels: they agree with the reference all the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from random_cells import random_cell
from simd_cases import Case

from evornn.cell import Cell, Weights
from evornn.kernels.simd.programs.equation import UnsupportedEquation
from evornn.kernels.simd.runtime.evaluator import SimdEvaluator
from evornn.layout import Layout
from evornn.ops import Node, apply, constant, exp, relu, sigmoid, stop_gradient, tanh


class ManySources(Cell):
    """Seven sources of one map, no two of them neighbours, and three others read the same."""

    state = ("h", "a", "b", "c", "d", "e")

    def step(self, w: Weights, x: Node, h: Node, a: Node, b: Node, c: Node, d: Node, e: Node) -> tuple[Node, ...]:
        sources = e, a, x, d, b, h, c
        new = tanh(w.n(*sources) * sigmoid(w.g(*sources)) + w.m(h, a, c, d, bias=False))
        return new, h, tanh(a), b * 0.5, c, sigmoid(d)


class Duplicates(Cell):
    """Three states with the same new value, one of them only handed on."""

    state = ("h", "a", "b")

    def step(self, w: Weights, x: Node, h: Node, a: Node, b: Node) -> tuple[Node, ...]:
        new = tanh(w.n(x, h, a) + 0.5 * b)
        return new, new, new


class Constant(Cell):
    """States that are the same after every step, of the genome's and of the architecture's; one that is the input."""

    state = ("h", "a", "b", "k")
    sizes = {"k": "inputs"}  # noqa: RUF012

    def step(self, w: Weights, x: Node, h: Node, a: Node, b: Node, k: Node) -> tuple[Node, ...]:
        ramp = constant(lambda sizes: np.linspace(-1, 1, sizes["units"]))
        return tanh(w.n(x, h, k) + a * b), sigmoid(w.level), ramp, x


class Units(Cell):
    """The states are the outputs."""

    readout = False

    def step(self, w: Weights, x: Node, y: Node, h: Node) -> Node:
        return tanh(w.h(x, h, y))


class Stopped(Cell):
    """An output through which no gradient flows, beside a state that has one."""

    state = ("h", "c")

    def output(self, w: Weights, h: Node, c: Node) -> Node:
        return stop_gradient(c)

    def step(self, w: Weights, x: Node, h: Node, c: Node) -> tuple[Node, ...]:
        return tanh(w.h(x, h)), stop_gradient(w.c(h, x))


class Chain(Cell):
    """Each value is the next one's only operand, row behind row: one instruction for several would read too early."""

    def step(self, w: Weights, x: Node, h: Node) -> Node:
        value = tanh(w.a(x, h))
        for _ in range(5):
            value = tanh(value)
        return value


class Delayed(Cell):
    """The output of the step before is also a new state."""

    state = ("h", "c")

    def output(self, w: Weights, h: Node, c: Node) -> Node:
        return tanh(c)

    def step(self, w: Weights, x: Node, h: Node, c: Node) -> tuple[Node, ...]:
        return tanh(c), tanh(w.c(x, h))


class Maps(Cell):
    """Maps of maps, one of them with a second reader, and one that reads a source twice."""

    def step(self, w: Weights, x: Node, h: Node) -> Node:
        a = w.a(x, h)
        b = w.b(a, x, a)
        return tanh(w.c(b, h) + b * sigmoid(a)) + w.d(a, bias=False) * 0.1


class Scalars(Cell):
    """Values of size one, spread over units and summed over them in the gradient."""

    state = ("h", "s")
    sizes = {"s": "one", "gain": "one"}  # noqa: RUF012

    def step(self, w: Weights, x: Node, h: Node, s: Node) -> tuple[Node, ...]:
        s = tanh(w.s(h, x, s) * w.gain)
        return tanh(w.h(x, h) * s + exp(-w.gain * w.gain) * relu(s)), s


ODD = [ManySources, Duplicates, Constant, Units, Stopped, Chain, Delayed, Maps, Scalars]


@pytest.mark.parametrize("batch", [3, 20])
@pytest.mark.parametrize("units", [1, 3, 8, 17])
@pytest.mark.parametrize("kind", ODD)
def test_odd_cells_agree_with_the_reference(kind: type[Cell], units: int, batch: int) -> None:
    case = Case(kind(), units=units, batch=batch, layers=2, initial_state="learned", population=18 if batch < 8 else 3)
    if kind is Stopped:
        case.check_losses("mse")
        found, right = (e.gradients(*data, "mse")[1] for e, data in (
            (case.simd, (case.genomes, case.data)), (case.reference, case.exact),
        ))  # fmt: skip
        assert torch.allclose(found.double(), right, atol=1e-6)
    else:
        case.check_gradients("mse")
    outputs, end = case.simd.outputs(case.genomes, case.inputs)
    first, state = case.simd.outputs(case.genomes, case.inputs[:, :5])
    rest, last = case.simd.outputs(case.genomes, case.inputs[:, 5:], state)
    assert torch.equal(torch.cat([first, rest], 2), outputs)
    assert all(torch.equal(a[name], b[name]) for a, b in zip(end, last, strict=True) for name in a)


@pytest.mark.parametrize("seed", range(60))
def test_random_cells_agree_with_the_reference(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = {name: int(rng.choice(values)) for name, values in {
        "units": [1, 2, 3, 5, 8, 11], "batch": [1, 3, 7, 9, 20], "layers": [1, 2, 3], "steps": [1, 2, 5],
        "outputs": [1, 2, 3],
    }.items()}  # fmt: skip
    case = Case(random_cell(seed), **sizes, seed=seed, initial_state=str(rng.choice(["zero", "learned"])))
    case.check_losses("mse")
    losses, found, _ = case.simd.gradients(case.genomes, case.data, "mse")
    right = case.reference.gradients(*case.exact, "mse")[1]
    assert ((found - right).norm(dim=1) <= 1e-3 * right.norm(dim=1) + 1e-9).all()
    assert torch.allclose(losses, case.simd.losses(case.genomes, case.data, "mse"), rtol=1e-5)


def test_what_the_interpreter_does_not_know_is_refused() -> None:
    class Odd(Cell):
        def step(self, w: Weights, x: Node, h: Node) -> Node:
            return apply("erf", w.h(x, h))

    class Fixed(Cell):
        def step(self, w: Weights, x: Node, h: Node) -> Node:
            return tanh(w.h(x, h, w.level))

    for kind, reason in ((Odd, "erf"), (Fixed, "an affine map of a value that is the same at every step")):
        with pytest.raises(UnsupportedEquation, match=reason):
            SimdEvaluator(Layout(kind(), 1, 2, 1, 1, "zero"))
