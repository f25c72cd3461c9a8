"""ONNX: the step as the body of a Scan over time, so that any length and any batch can be computed.

Inputs: `inputs` [batch, time, I] and, optionally, a state for each name of `state_sizes`, `state.0.h` [batch, H], …:
the initial state unless it is given. Outputs: `outputs` [batch, time, O], and the states after the last step,
`next.0.h`, …, with which a later call continues. So one file serves whole sequences and streams.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import numpy as np

from evornn.arrays import Floats, Genome
from evornn.errors import require
from evornn.layout import Layout
from evornn.models.step import emit_step, initial_states, state_sizes

OPSET, IR_VERSION = 17, 8  # of 2022: runtimes of today and of some years ago read it
SIMPLE = {
    "add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "neg": "Neg", "tanh": "Tanh", "sigmoid": "Sigmoid",
    "exp": "Exp", "relu": "Relu", "stop": "Identity", "sin": "Sin", "cos": "Cos", "sign": "Sign", "abs": "Abs",
    "minimum": "Min", "maximum": "Max",
}  # fmt: skip


def to_onnx(layout: Layout, genome: Genome) -> bytes:
    """The network as an ONNX file.

    Args:
        layout: The network.
        genome: Its parameters [n].

    Returns:
        The bytes of the file.

    Raises:
        EvornnError: The extra `export` is not installed.
    """
    with require("export", "an .onnx file"):
        from onnx import checker, helper

    body, constants = _step_graph(layout, genome)
    main, sizes = OnnxEmitter(prefix="main"), state_sizes(layout)
    begin = [main.expand_batch(f"state.{name}", "inputs", size) for name, size in sizes.items()]
    axes: dict[str, Any] = {"num_scan_inputs": 1, "scan_input_axes": [1], "scan_output_axes": [1]}
    ends = [*(f"next.{name}" for name in sizes), "outputs"]
    scan = helper.make_node("Scan", [*begin, "inputs"], ends, body=body, **axes)
    initial = {f"state.{name}": values[None] for name, values in initial_states(layout, genome).items()}
    graph = helper.make_graph(
        [*main.nodes, scan],
        "evornn",
        [
            _values("inputs", "batch", "time", layout.inputs),
            *(_values(f"state.{name}", "batch_of_state", size) for name, size in sizes.items()),
        ],
        [
            _values("outputs", "batch", "time", layout.outputs),
            *(_values(f"next.{name}", "batch", size) for name, size in sizes.items()),
        ],
        [_tensor(name, values) for name, values in {**initial, **constants, **main.constants}.items()],
    )
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, producer_name="evornn", ir_version=IR_VERSION, opset_imports=opsets)
    checker.check_model(model)
    return bytes(model.SerializeToString())


def _step_graph(layout: Layout, genome: Genome) -> tuple[Any, dict[str, Any]]:
    """The body of the Scan, states and x → new states and outputs, and the constants that it sees."""
    from onnx import helper

    sizes, emitter = state_sizes(layout), OnnxEmitter()
    step = emit_step(layout, genome, emitter, "x", {name: f"before.{name}" for name in sizes})
    after = {name: emitter.widen(step.states[name], f"before.{name}") for name in sizes}
    inputs = [_values(f"before.{name}", "batch", size) for name, size in sizes.items()]
    outputs = [_values(after[name], "batch", size) for name, size in sizes.items()]
    ends = [*outputs, _values(step.outputs, "batch", layout.outputs)]
    graph = helper.make_graph(emitter.nodes, "step", [*inputs, _values("x", "batch", layout.inputs)], ends)
    return graph, emitter.constants


class OnnxEmitter:
    """Nodes of a graph on values [batch, size]. Constants are kept apart: they belong to the main graph, and nodes of
    the step see them from there."""

    def __init__(self, prefix: str = "v") -> None:
        self.prefix, self._numbers = prefix, count()
        self.nodes: list[Any] = []
        self.constants: dict[str, np.ndarray[Any, Any]] = {}

    def constant(self, values: Floats) -> str:
        return self._keep(np.asarray(values, np.float32)[None])

    def affine(self, products: Sequence[tuple[Floats, str]], bias: Floats | None) -> str:
        terms = [self._node("MatMul", source, self._keep(weights.T)) for weights, source in products]
        terms += [] if bias is None else [self.constant(bias)]
        total = terms[0]
        for term in terms[1:]:
            total = self._node("Add", total, term)
        return total

    def apply(self, op: str, args: Sequence[str | float], size: int) -> str:
        names = [arg if isinstance(arg, str) else self._keep(np.float32(arg)) for arg in args]
        return self._node(SIMPLE[op], *names) if op in SIMPLE else OTHERS[op](self, *names)

    def head(self, value: str, size: int) -> str:
        begin, end, axis = (self._keep(np.array([k], np.int64)) for k in (0, size, 1))
        return self._node("Slice", value, begin, end, axis)

    def widen(self, value: str, like: str) -> str:
        """A value in the shape of another one, to which it may be broadcast, under a name of its own."""
        return self._node("Expand", value, self._node("Shape", like))

    def expand_batch(self, value: str, inputs: str, size: int) -> str:
        """[1 or batch, size] → [batch, size]."""
        batch = self._node("Shape", inputs, start=0, end=1)
        return self._node("Expand", value, self._node("Concat", batch, self._keep(np.array([size], np.int64)), axis=0))

    def where(self, condition: str, a: str, b: str) -> str:
        """c a + (1 − c) b, as everywhere in evornn: NaN in the value that is not selected stays NaN."""
        rest = self.apply("sub", [1.0, condition], 0)
        return self._node("Add", self._node("Mul", condition, a), self._node("Mul", rest, b))

    def positive(self, a: str) -> str:
        """1 where a > 0, else 0."""
        return self._node("Cast", self._node("Greater", a, self._keep(np.float32(0))), to=1)

    def every(self, period: str, time: str) -> str:
        """1 at multiples of the period, else 0."""
        rest = self._node("Mod", time, period, fmod=1)
        return self._node("Cast", self._node("Equal", rest, self._keep(np.float32(0))), to=1)

    def outer(self, a: str, b: str) -> str:
        """All products, [batch, rows × columns]."""
        rows = self._node("Unsqueeze", a, self._keep(np.array([2], np.int64)))
        columns = self._node("Unsqueeze", b, self._keep(np.array([1], np.int64)))
        return self._node("Flatten", self._node("Mul", rows, columns), axis=1)

    def spread(self, a: str, times: str) -> str:
        """Each number `times` times."""
        ones = np.ones((1, 1, int(self.constants.pop(times))), np.float32)
        column = self._node("Unsqueeze", a, self._keep(np.array([2], np.int64)))
        return self._node("Flatten", self._node("Mul", column, self._keep(ones)), axis=1)

    def _node(self, op: str, *inputs: str, **attributes: Any) -> str:
        from onnx import helper

        output = f"{self.prefix}{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [output], **attributes))
        return output

    def _keep(self, values: Any) -> str:
        name = f"{self.prefix}.constant{next(self._numbers)}"
        self.constants[name] = np.asarray(values)
        return name


OTHERS: dict[str, Callable[..., str]] = {
    "where": OnnxEmitter.where,
    "positive": OnnxEmitter.positive,
    "every": OnnxEmitter.every,
    "outer": OnnxEmitter.outer,
    "spread": OnnxEmitter.spread,
}


def _values(name: str, *shape: int | str) -> Any:
    """The declaration of a value."""
    from onnx import TensorProto, helper

    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _tensor(name: str, values: Any) -> Any:
    from onnx import numpy_helper

    return numpy_helper.from_array(np.ascontiguousarray(values), name)
