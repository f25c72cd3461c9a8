"""numpy: one step of a network as a list of numpy calls into arrays that are made once, for streams in Python.

At the sizes of small networks a call costs more than its arithmetic. So all affine maps of the same sources are one
product, of one matrix with one vector that ends with a 1 for the biases, and nothing is allocated in a step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from evornn.arrays import Floats, Genome
from evornn.data.preparation import Preparation
from evornn.layout import Layout
from evornn.models.step import Step, emit_step, initial_states, state_sizes
from evornn.models.units import RowUnits, columns, emit_answers, emit_inputs, sort_levels

Call: TypeAlias = tuple[Callable[..., Any], tuple[Any, ...]]


class NumpyStep:
    """A network at work: `step` maps inputs [I] to outputs [O], or with a preparation rows [C] to answers [O].

    Args:
        layout: The network.
        genome: Its parameters [n].
        preparation: Between units and the network's numbers; None: these themselves go in and come out.
    """

    def __init__(self, layout: Layout, genome: Genome, preparation: Preparation | None = None) -> None:
        self.states = {name: np.zeros(size, np.float32) for name, size in state_sizes(layout).items()}
        self._initial = initial_states(layout, genome)
        emitter, before, after = NumpyEmitter(), RowUnits(), RowUnits()
        size = layout.inputs if preparation is None else len(columns(preparation))
        self._row: NDArray[Any] = np.zeros(size, np.float32 if preparation is None else np.float64)
        inputs: NDArray[Any] = self._row if preparation is None else emit_inputs(preparation, before, self._row)
        step: Step[Floats] = emit_step(layout, genome, emitter, inputs, self.states)
        outputs = emitter.widen(step.outputs, layout.outputs)
        self._answers = outputs if preparation is None else emit_answers(preparation, after, outputs, self._row)
        copies = [(np.copyto, (state, step.states[name])) for name, state in self.states.items()]
        self._calls = [*before.calls, *emitter.calls(), *after.calls, *copies]
        has_quantiles = preparation is not None and preparation.answers[0].level is not None
        self._quantiles = preparation if has_quantiles else None
        self.reset()

    def reset(self) -> None:
        """Back to the beginning of a sequence."""
        for name, values in self._initial.items():
            self.states[name][:] = values

    def step(self, row: Any) -> NDArray[Any]:
        """One step: [I] → [O]."""
        self._row[:] = row
        with np.errstate(all="ignore"):
            for function, arguments in self._calls:
                function(*arguments)
        answers = self._answers.copy()
        return answers if self._quantiles is None else sort_levels(self._quantiles, answers)


@dataclass
class _Product:
    """All affine maps of the same sources: one product."""

    sources: tuple[Floats, ...]
    weights: list[Floats] = field(default_factory=list)  # [rows, columns + 1] each, the last column is the bias
    results: list[Floats] = field(default_factory=list)  # [rows] each


class NumpyEmitter:
    """Calls on arrays [size]."""

    def __init__(self) -> None:
        self._calls: list[Call | _Product] = []
        self._products: dict[tuple[int, ...], _Product] = {}

    def constant(self, values: Floats) -> Floats:
        return np.array(values, np.float32)

    def affine(self, products: Sequence[tuple[Floats, Floats]], bias: Floats | None) -> Floats:
        rows = len(products[0][0])
        sources = tuple(source for _, source in products)
        key = tuple(id(source) for source in sources)
        if key not in self._products:
            self._products[key] = _Product(sources)
            self._calls.append(self._products[key])
        last = np.zeros(rows, np.float32) if bias is None else bias
        self._products[key].weights.append(np.column_stack([*(weights for weights, _ in products), last]))
        self._products[key].results.append(result := np.zeros(rows, np.float32))
        return result

    def apply(self, op: str, args: Sequence[Floats | float], size: int) -> Floats:
        out = np.zeros(size, np.float32)
        numbers = [arg if isinstance(arg, np.ndarray) else np.float32(arg) for arg in args]
        if op in UFUNCS:
            self._calls.append((UFUNCS[op], (*numbers, out)))
        else:
            self._calls += OTHERS[op](out, *numbers)
        return out

    def widen(self, value: Floats, size: int) -> Floats:
        """A value as an array of this size, into which it may have to be broadcast."""
        if len(value) == size:
            return value
        self._calls.append((np.copyto, (out := np.zeros(size, np.float32), value)))
        return out

    def head(self, value: Floats, size: int) -> Floats:
        return value[:size]

    def calls(self) -> list[Call]:
        """All calls of a step, in order."""
        return [call for part in self._calls for call in (_multiply(part) if isinstance(part, _Product) else [part])]


def _multiply(product: _Product) -> list[Call]:
    """The vector of all sources and 1, its product with all matrices, and the parts of that."""
    sizes = [len(source) for source in product.sources]
    vector = np.ones(sum(sizes) + 1, np.float32)
    places = np.split(vector, np.cumsum(sizes))
    matrix = np.ascontiguousarray(np.concatenate(product.weights), np.float32)
    whole = np.zeros(len(matrix), np.float32)
    parts = np.split(whole, np.cumsum([len(result) for result in product.results])[:-1])
    return [
        *((np.copyto, (place, source)) for place, source in zip(places, product.sources, strict=False)),
        (np.dot, (matrix, vector, whole)),
        *((np.copyto, (result, part)) for result, part in zip(product.results, parts, strict=True)),
    ]


UFUNCS: dict[str, Callable[..., Any]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "neg": np.negative, "stop": np.positive,
    "tanh": np.tanh, "sigmoid": expit, "exp": np.exp, "sin": np.sin, "cos": np.cos, "sign": np.sign, "abs": np.abs,
    "minimum": lambda a, b, out: np.minimum(a, b, out=out), "maximum": lambda a, b, out: np.maximum(a, b, out=out),
}  # fmt: skip


def _relu(out: Floats, a: Floats) -> list[Call]:
    return [(UFUNCS["maximum"], (a, np.float32(0), out))]


def _positive(out: Floats, a: Floats) -> list[Call]:
    return [(np.greater, (a, np.float32(0), out))]


def _where(out: Floats, condition: Any, a: Any, b: Any) -> list[Call]:
    """c a + (1 − c) b, as everywhere in evornn: NaN in the value that is not selected stays NaN."""
    rest = np.zeros_like(out)
    return [
        (np.subtract, (np.float32(1), condition, rest)),
        (np.multiply, (rest, b, rest)),
        (np.multiply, (condition, a, out)),
        (np.add, (out, rest, out)),
    ]


def _every(out: Floats, period: Any, time: Any) -> list[Call]:
    return [(np.fmod, (time, period, out)), (np.equal, (out, np.float32(0), out))]


def _outer(out: Floats, a: Floats, b: Floats) -> list[Call]:
    return [(np.multiply, (a[:, None], b[None], out.reshape(len(a), len(b))))]


def _spread(out: Floats, a: Floats, times: Any) -> list[Call]:
    return [(np.copyto, (out.reshape(len(a), int(times)), a[:, None]))]


OTHERS: dict[str, Callable[..., list[Call]]] = {
    "relu": _relu, "positive": _positive, "where": _where, "every": _every, "outer": _outer, "spread": _spread,
}  # fmt: skip
