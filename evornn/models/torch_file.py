"""torch: a Python module of its own, which needs torch and nothing of evornn. Any length, any batch, and streaming."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np

from evornn.arrays import Floats, Genome
from evornn.data.preparation import Preparation
from evornn.data.scaling import Doubles
from evornn.layout import Layout
from evornn.models.step import emit_step, initial_states, state_sizes
from evornn.models.units import about_units, columns, emit_answers, emit_inputs

OPERATIONS: dict[str, Callable[..., str]] = {
    "add": "{} + {}".format,
    "sub": "{} - {}".format,
    "mul": "{} * {}".format,
    "div": "{} / {}".format,
    "neg": "-{}".format,
    "stop": "{}.detach()".format,
    "tanh": "torch.tanh({})".format,
    "sigmoid": "torch.sigmoid({})".format,
    "exp": "torch.exp({})".format,
    "relu": "torch.relu({})".format,
    "positive": "({} > 0).float()".format,
    "where": "{0} * {1} + (1 - {0}) * {2}".format,
    "sin": "torch.sin({})".format,
    "cos": "torch.cos({})".format,
    "sign": "torch.where({0}.isnan(), {0}, torch.sign({0}))".format,
    "abs": "torch.abs({})".format,
    "minimum": "_minimum({}, {})".format,
    "maximum": "_maximum({}, {})".format,
    "every": "({1} % {0} == 0).float()".format,
    "outer": "({}[:, :, None] * {}[:, None, :]).flatten(1)".format,
    "spread": "{}.repeat_interleave(int({}), 1)".format,
}
TEMPLATE = '''\
"""{title}

Written by evornn. A network of {inputs} inputs and {outputs} outputs, {parameters} parameters; it needs torch alone.

    model = Model()
    outputs = model(inputs)                    # [B, T, {columns}] -> [B, T, {outputs}]
    outputs, state = model.run(inputs, state)  # a part of a stream; state None: its beginning
{about}"""

from base64 import b64decode

import torch


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        for name, (shape, text) in WEIGHTS.items():
            values = torch.frombuffer(bytearray(b64decode(text)), dtype=torch.float32).reshape(shape).clone()
            self.register_parameter(name, torch.nn.Parameter(values))
        for name, values in DOUBLES.items():
            self.register_buffer(name, torch.tensor(values, dtype=torch.float64))

    def forward(self, inputs):
        return self.run(inputs)[0]

    def run(self, inputs, state=None):
        """Outputs [B, T, {outputs}], and the state after the last step: name -> [B, size]."""
        state = self.initial_state(len(inputs)) if state is None else state
        outputs = []
        for x in self.prepare(inputs).unbind(1):
            y, state = self.step(x, state)
            outputs.append(y)
        return self.answers(torch.stack(outputs, 1), inputs), state

    def prepare(self, row):
        """[B, T, {columns}] -> what the network reads [B, T, {inputs}]."""
{prepare}

    def answers(self, outputs, row):
        """Outputs of the network [B, T, {outputs}] -> what this model returns [B, T, {outputs}]."""
{answers}

    def initial_state(self, batch):
        return {{
{initial}
        }}

    def step(self, x, state):
        """Inputs of one step [B, {inputs}] -> outputs [B, {outputs}], and the new state."""
{step}
        return {result}, {{
{after}
        }}


def _minimum(a, b):
    return torch.minimum(*torch.broadcast_tensors(*_tensors(a, b)))


def _maximum(a, b):
    return torch.maximum(*torch.broadcast_tensors(*_tensors(a, b)))


def _tensors(a, b):
    like = a if isinstance(a, torch.Tensor) else b
    return torch.as_tensor(a).to(like), torch.as_tensor(b).to(like)


DOUBLES = {{
{doubles}
}}
# Shape and float32 values of each parameter.
WEIGHTS = {{
{weights}
}}
'''


def to_torch(
    layout: Layout, genome: Genome, title: str = "A recurrent network", preparation: Preparation | None = None
) -> str:
    """The network as a Python module that needs torch alone.

    Args:
        layout: The network.
        genome: Its parameters [n].
        title: First line of the file.
        preparation: Between units and the network's numbers; None: these themselves go in and come out.

    Returns:
        The source, with the class `Model` and the weights as its parameters.
    """
    sizes, emitter = state_sizes(layout), TorchEmitter()
    step = emit_step(layout, genome, emitter, "x", {name: f'state["{name}"]' for name in sizes})
    initial = [
        f'            "{name}": self.{emitter.keep(values)}.expand(batch, -1),'
        for name, values in initial_states(layout, genome).items()
    ]
    after = [f'            "{name}": {step.states[name]}.expand(len(x), {size}),' for name, size in sizes.items()]
    units = TorchUnits()
    prepare, answers = _units(preparation, units)
    return TEMPLATE.format(
        columns=layout.inputs if preparation is None else len(columns(preparation)),
        about=_safe(about_units(preparation)),
        prepare=prepare,
        answers=answers,
        doubles="\n".join(units.doubles),
        title=_safe(title),
        inputs=layout.inputs,
        outputs=layout.outputs,
        parameters=layout.n,
        initial="\n".join(initial),
        step="\n".join(f"        {line}" for line in emitter.lines),
        result=f"{step.outputs}.expand(len(x), {layout.outputs})",
        after="\n".join(after),
        weights="\n".join(emitter.weights),
    )


def _units(preparation: Preparation | None, units: TorchUnits) -> tuple[str, str]:
    """The bodies of `prepare` and `answers`."""
    if preparation is None:
        return "        return row", "        return outputs"
    inputs = emit_inputs(preparation, units, "row")
    before = [*units.lines, f"return {inputs}"]
    units.lines.clear()
    after = emit_answers(preparation, units, "outputs", "row")
    return _body(before), _body([*units.lines, f"return {after}"])


def _body(lines: Sequence[str]) -> str:
    return "\n".join(f"        {line}" for line in lines)


def _safe(text: str) -> str:
    """In a docstring."""
    return text.replace("\\", "").replace('"', "'")


class TorchUnits:
    """Statements on doubles [B, T, size], and the buffers of the module."""

    OPERATIONS: ClassVar = {
        "add": "{} + {}", "sub": "{} - {}", "mul": "{} * {}", "div": "{} / {}", "sqrt": "{}.sqrt()",
        "log1p": "{}.log1p()", "expm1": "{}.expm1()", "relu": "{}.relu()",
        "sin": "{}.sin()",
    }  # fmt: skip

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.doubles: list[str] = []
        self._count = 0

    def constant(self, values: Doubles) -> str:
        name = f"d{len(self.doubles)}"
        self.doubles.append(f'    "{name}": {np.asarray(values, np.float64).tolist()},')
        return f"self.{name}"

    def take(self, value: str, positions: Sequence[int]) -> str:
        return self._assign(f"{value}[..., {list(positions)}]")

    def join(self, parts: Sequence[str]) -> str:
        return self._assign(f"torch.cat([{', '.join(parts)}], -1)")

    def apply(self, op: str, *args: str) -> str:
        return self._assign(self.OPERATIONS[op].format(*args))

    def one_hot(self, value: str, count: int) -> str:
        return self._assign(f"({value} == {self.constant(np.arange(float(count)))}).double()")

    def softmax(self, value: str) -> str:
        return self._assign(f"{value}.softmax(-1)")

    def is_missing(self, value: str) -> str:
        return self._assign(f"{value}.isnan().double()")

    def fill(self, value: str) -> str:
        return self._assign(f"torch.where({value}.isnan(), 0.0, {value})")

    def narrow(self, value: str) -> str:
        return self._assign(f"{value}.float()")

    def widen(self, value: str) -> str:
        return self._assign(f"{value}.double()")

    def _assign(self, text: str) -> str:
        self._count += 1
        self.lines.append(f"u{self._count} = {text}")
        return f"u{self._count}"


class TorchEmitter:
    """Statements of the step on tensors [B, size], and the parameters of the module."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.weights: list[str] = []

    def constant(self, values: Floats) -> str:
        return f"self.{self.keep(values)}"

    def affine(self, products: Sequence[tuple[Floats, str]], bias: Floats | None) -> str:
        terms = [f"{source} @ self.{self._weight(weights.T)}" for weights, source in products]
        terms += [] if bias is None else [f"self.{self.keep(bias)}"]
        return self._assign(" + ".join(terms))

    def apply(self, op: str, args: Sequence[str | float], size: int) -> str:
        texts = [arg if isinstance(arg, str) else f"({float(np.float32(arg))!r})" for arg in args]
        return self._assign(OPERATIONS[op](*texts))

    def head(self, value: str, size: int) -> str:
        return self._assign(f"{value}[:, :{size}]")

    def keep(self, values: Floats) -> str:
        """The name of a parameter [1, size]."""
        return self._weight(np.asarray(values)[None])

    def _weight(self, values: Floats) -> str:
        name, array = f"w{len(self.weights)}", np.ascontiguousarray(values, np.float32)
        text = b64encode(array.astype("<f4").tobytes()).decode()
        self.weights.append(f'    "{name}": ({array.shape}, "{text}"),')
        return name

    def _assign(self, text: str) -> str:
        name = f"v{len(self.lines)}"
        self.lines.append(f"{name} = {text}")
        return name
