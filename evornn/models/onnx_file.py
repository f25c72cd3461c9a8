"""ONNX: the step as the body of a Scan over time, so that any length and any batch can be computed.

With a preparation, `inputs` [batch, time, C] are rows of columns in their own units, in double precision, and `outputs`
the answers in theirs.

Inputs: `inputs` [batch, time, I] and, optionally, a state for each name of `state_sizes`, `state.0.h` [batch, H], …:
the initial state unless it is given. Outputs: `outputs` [batch, time, O], and the states after the last step,
`next.0.h`, …, with which a later call continues. So one file serves whole sequences and streams.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, ClassVar

import numpy as np

from evornn.arrays import Floats, Genome
from evornn.data.preparation import Preparation
from evornn.data.scaling import Doubles
from evornn.errors import require
from evornn.layout import Layout
from evornn.models.step import emit_step, initial_states, state_sizes
from evornn.models.units import columns, emit_answers, emit_inputs

FLOAT, DOUBLE = 1, 11  # of TensorProto
OPSET, IR_VERSION = 17, 8  # of 2022: runtimes of today and of some years ago read it
SIMPLE = {
    "add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "neg": "Neg", "tanh": "Tanh", "sigmoid": "Sigmoid",
    "exp": "Exp", "relu": "Relu", "stop": "Identity", "sin": "Sin", "cos": "Cos", "sign": "Sign", "abs": "Abs",
    "minimum": "Min", "maximum": "Max",
}  # fmt: skip


def to_onnx(layout: Layout, genome: Genome, preparation: Preparation | None = None) -> bytes:
    """The network as an ONNX file.

    Args:
        layout: The network.
        genome: Its parameters [n].
        preparation: Between units and the network's numbers; None: these themselves go in and come out.

    Returns:
        The bytes of the file.

    Raises:
        EvornnError: The extra `export` is not installed.
    """
    with require("export", "an .onnx file"):
        from onnx import checker, helper

    body, constants = _step_graph(layout, genome)
    main, sizes = OnnxEmitter(prefix="main"), state_sizes(layout)
    units = OnnxUnits(main)
    inputs = "inputs" if preparation is None else emit_inputs(preparation, units, "inputs")
    begin = [main.expand_batch(f"state.{name}", "inputs", size) for name, size in sizes.items()]
    axes: dict[str, Any] = {"num_scan_inputs": 1, "scan_input_axes": [1], "scan_output_axes": [1]}
    raw = "outputs" if preparation is None else "network.outputs"
    ends = [*(f"next.{name}" for name in sizes), raw]
    main.nodes.append(helper.make_node("Scan", [*begin, inputs], ends, body=body, **axes))
    if preparation is not None:
        answers = emit_answers(preparation, units, raw, "inputs")
        main.nodes.append(helper.make_node("Identity", [answers], ["outputs"]))
    size, kind = (layout.inputs, FLOAT) if preparation is None else (len(columns(preparation)), DOUBLE)
    initial = {f"state.{name}": values[None] for name, values in initial_states(layout, genome).items()}
    graph = helper.make_graph(
        main.nodes,
        "evornn",
        [
            _values("inputs", "batch", "time", size, kind=kind),
            *(_values(f"state.{name}", "batch_of_state", size) for name, size in sizes.items()),
        ],
        [
            _values("outputs", "batch", "time", layout.outputs, kind=kind),
            *(_values(f"next.{name}", "batch", size) for name, size in sizes.items()),
        ],
        [_tensor(name, values) for name, values in {**initial, **constants, **main.constants}.items()],
    )
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, producer_name="evornn", ir_version=IR_VERSION, opset_imports=opsets)
    if preparation is not None:
        helper.set_model_props(model, {"preparation": json.dumps(preparation.to_dict())})
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
        return self.keep(np.asarray(values, np.float32)[None])

    def affine(self, products: Sequence[tuple[Floats, str]], bias: Floats | None) -> str:
        terms = [self.node("MatMul", source, self.keep(weights.T)) for weights, source in products]
        terms += [] if bias is None else [self.constant(bias)]
        total = terms[0]
        for term in terms[1:]:
            total = self.node("Add", total, term)
        return total

    def apply(self, op: str, args: Sequence[str | float], size: int) -> str:
        names = [arg if isinstance(arg, str) else self.keep(np.float32(arg)) for arg in args]
        return self.node(SIMPLE[op], *names) if op in SIMPLE else OTHERS[op](self, *names)

    def head(self, value: str, size: int) -> str:
        begin, end, axis = (self.keep(np.array([k], np.int64)) for k in (0, size, 1))
        return self.node("Slice", value, begin, end, axis)

    def widen(self, value: str, like: str) -> str:
        """A value in the shape of another one, to which it may be broadcast, under a name of its own."""
        return self.node("Expand", value, self.node("Shape", like))

    def expand_batch(self, value: str, inputs: str, size: int) -> str:
        """[1 or batch, size] → [batch, size]."""
        batch = self.node("Shape", inputs, start=0, end=1)
        return self.node("Expand", value, self.node("Concat", batch, self.keep(np.array([size], np.int64)), axis=0))

    def where(self, condition: str, a: str, b: str) -> str:
        """c a + (1 − c) b, as everywhere in evornn: NaN in the value that is not selected stays NaN."""
        rest = self.apply("sub", [1.0, condition], 0)
        return self.node("Add", self.node("Mul", condition, a), self.node("Mul", rest, b))

    def positive(self, a: str) -> str:
        """1 where a > 0, else 0."""
        return self.node("Cast", self.node("Greater", a, self.keep(np.float32(0))), to=1)

    def every(self, period: str, time: str) -> str:
        """1 at multiples of the period, else 0."""
        rest = self.node("Mod", time, period, fmod=1)
        return self.node("Cast", self.node("Equal", rest, self.keep(np.float32(0))), to=1)

    def outer(self, a: str, b: str) -> str:
        """All products, [batch, rows × columns]."""
        rows = self.node("Unsqueeze", a, self.keep(np.array([2], np.int64)))
        columns = self.node("Unsqueeze", b, self.keep(np.array([1], np.int64)))
        return self.node("Flatten", self.node("Mul", rows, columns), axis=1)

    def spread(self, a: str, times: str) -> str:
        """Each number `times` times."""
        ones = np.ones((1, 1, int(self.constants.pop(times))), np.float32)
        column = self.node("Unsqueeze", a, self.keep(np.array([2], np.int64)))
        return self.node("Flatten", self.node("Mul", column, self.keep(ones)), axis=1)

    def node(self, op: str, *inputs: str, **attributes: Any) -> str:
        """A further node; returns the name of its result."""
        from onnx import helper

        output = f"{self.prefix}{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [output], **attributes))
        return output

    def keep(self, values: Any) -> str:
        """The name of a constant."""
        name = f"{self.prefix}.constant{next(self._numbers)}"
        self.constants[name] = np.asarray(values)
        return name


class OnnxUnits:
    """Nodes of the main graph on doubles [batch, time, size]."""

    OPERATIONS: ClassVar = {
        "add": "Add",
        "sub": "Sub",
        "mul": "Mul",
        "div": "Div",
        "sqrt": "Sqrt",
        "relu": "Relu",
        "sin": "Sin",
    }

    def __init__(self, graph: OnnxEmitter) -> None:
        self.graph = graph

    def constant(self, values: Doubles) -> str:
        return self.graph.keep(np.asarray(values, np.float64))

    def take(self, value: str, positions: Sequence[int]) -> str:
        return self.graph.node("Gather", value, self.graph.keep(np.array(positions, np.int64)), axis=2)

    def join(self, parts: Sequence[str]) -> str:
        return self.graph.node("Concat", *parts, axis=2)

    def apply(self, op: str, *args: str) -> str:
        one = np.ones(1)
        if op == "log1p":
            return self.graph.node("Log", self.graph.node("Add", *args, self.constant(one)))
        if op == "expm1":
            return self.graph.node("Sub", self.graph.node("Exp", *args), self.constant(one))
        return self.graph.node(self.OPERATIONS[op], *args)

    def one_hot(self, value: str, count: int) -> str:
        return self.graph.node(
            "Cast", self.graph.node("Equal", value, self.constant(np.arange(float(count)))), to=DOUBLE
        )

    def softmax(self, value: str) -> str:
        return self.graph.node("Softmax", value, axis=2)

    def is_missing(self, value: str) -> str:
        return self.graph.node("Cast", self.graph.node("IsNaN", value), to=DOUBLE)

    def fill(self, value: str) -> str:
        return self.graph.node("Where", self.graph.node("IsNaN", value), self.constant(np.zeros(1)), value)

    def narrow(self, value: str) -> str:
        return self.graph.node("Cast", value, to=FLOAT)

    def widen(self, value: str) -> str:
        return self.graph.node("Cast", value, to=DOUBLE)


OTHERS: dict[str, Callable[..., str]] = {
    "where": OnnxEmitter.where,
    "positive": OnnxEmitter.positive,
    "every": OnnxEmitter.every,
    "outer": OnnxEmitter.outer,
    "spread": OnnxEmitter.spread,
}


def _values(name: str, *shape: int | str, kind: int = FLOAT) -> Any:
    """The declaration of a value."""
    from onnx import helper

    return helper.make_tensor_value_info(name, kind, shape)


def _tensor(name: str, values: Any) -> Any:
    from onnx import numpy_helper

    return numpy_helper.from_array(np.ascontiguousarray(values), name)
