"""C99: one file without dependencies but the C library's mathematics, for small devices. No heap, no global state.

Matrices are stored by columns, so that a compiler can compute the rows of a product side by side without reordering
sums.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from evornn.arrays import Floats, Genome
from evornn.data.preparation import Preparation
from evornn.data.scaling import Doubles
from evornn.layout import Layout
from evornn.models.step import emit_step, initial_states, state_sizes
from evornn.models.units import about_units, columns, emit_answers, emit_inputs

ROW = 8  # numbers on a line
OPERATIONS: dict[str, Callable[..., str]] = {
    "add": "{} + {}".format,
    "sub": "{} - {}".format,
    "mul": "{} * {}".format,
    "div": "{} / {}".format,
    "neg": "-{}".format,
    "stop": "{}".format,
    "tanh": "1.0f - 2.0f / (expf(2.0f * {}) + 1.0f)".format,  # tanhf takes twice as long; exact to 1e-7
    "sigmoid": "1.0f / (1.0f + expf(-{}))".format,
    "exp": "expf({})".format,
    "relu": "{0} < 0.0f ? 0.0f : {0}".format,
    "positive": "{} > 0.0f ? 1.0f : 0.0f".format,
    "where": "{0} * {1} + (1.0f - {0}) * {2}".format,
    "sin": "sinf({})".format,
    "cos": "cosf({})".format,
    "sign": "{0} != {0} ? {0} : (float)(({0} > 0.0f) - ({0} < 0.0f))".format,
    "abs": "fabsf({})".format,
    "minimum": "{0} < {1} || {0} != {0} ? {0} : {1}".format,  # NaN if either is
    "maximum": "{0} > {1} || {0} != {0} ? {0} : {1}".format,
    "every": "fmodf({1}, {0}) == 0.0f ? 1.0f : 0.0f".format,
}
TEMPLATE = """\
/* {title}

   Written by evornn. A network of {inputs} inputs and {outputs} outputs, {parameters} parameters.

     {name}_state state;
     {name}_reset(&state);                  before each sequence
     {name}_step(&state, inputs, outputs);  for each step: {number} inputs[{columns}], outputs[{outputs}]
{about}
   Compile it with your program and link the mathematics: cc -O2 ... -lm */

#include <math.h>
#include <string.h>

#define {upper}_INPUTS {columns}
#define {upper}_OUTPUTS {outputs}

typedef struct {{
{fields}
}} {name}_state;

{constants}

void {name}_reset({name}_state *state)
{{
{reset}
}}

void {name}_step({name}_state *state, const {number} *inputs, {number} *outputs)
{{
{step}
}}
"""


def to_c(
    layout: Layout,
    genome: Genome,
    name: str = "network",
    title: str = "A recurrent network",
    preparation: Preparation | None = None,
) -> str:
    """The network as C99.

    Args:
        layout: The network.
        genome: Its parameters [n].
        name: Prefix of the functions.
        title: First line of the file.
        preparation: Between units and the network's numbers; None: these themselves go in and come out.

    Returns:
        The file: `NAME_reset` and `NAME_step`.
    """
    name, sizes, emitter = identifier(name), state_sizes(layout), CEmitter()
    before = {state: CValue(f"state->{identifier(state)}", size) for state, size in sizes.items()}
    units = CUnits(emitter)
    row = CValue("inputs", layout.inputs if preparation is None else len(columns(preparation)))
    inputs = row if preparation is None else emit_inputs(preparation, units, row)
    step = emit_step(layout, genome, emitter, inputs, before)
    after = {state: emitter.widen(step.states[state], size) for state, size in sizes.items()}
    outputs = emitter.widen(step.outputs, layout.outputs)
    answers = outputs if preparation is None else emit_answers(preparation, units, outputs, row)
    number = "float" if preparation is None else "double"
    lines = [*emitter.lines, *_copies("outputs", answers, number)]
    lines += [line for state, value in after.items() for line in _copies(before[state].name, value)]
    resets = [
        f"state->{identifier(state)}[{k}] = {literal(number)};"
        for state, values in initial_states(layout, genome).items()
        for k, number in enumerate(values.tolist())
    ]
    return TEMPLATE.format(
        title=_safe(title),
        number=number,
        columns=row.size,
        about=_safe(_indent(about_units(preparation).splitlines(), 5)),
        name=name,
        upper=name.upper(),
        inputs=layout.inputs,
        outputs=layout.outputs,
        parameters=layout.n,
        fields="\n".join(f"    float {identifier(state)}[{size}];" for state, size in sizes.items())
        or "    char none;",
        constants="\n".join(emitter.constants),
        reset=_indent(resets or ["(void)state;"]),
        step=_indent([*_ignore_unread(lines), *lines]),
    )


@dataclass(frozen=True)
class CValue:
    """An array of the C program."""

    name: str
    size: int

    def at(self, index: str) -> str:
        """An element; the only one where the array is broadcast."""
        return f"{self.name}[{index if self.size > 1 else 0}]"


class CEmitter:
    """Statements of the step, and the constants of the file."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.constants: list[str] = []
        self._count = 0

    def constant(self, values: Floats) -> CValue:
        return CValue(self._keep(values), len(values))

    def affine(self, products: Sequence[tuple[Floats, CValue]], bias: Floats | None) -> CValue:
        rows = len(products[0][0])
        result = self._declare(rows)
        start = f"{self._keep(bias)}[i]" if bias is not None else "0.0f"
        self.lines.append(f"for (int i = 0; i < {rows}; i++) {result.name}[i] = {start};")
        for weights, source in products:
            matrix = self._keep(weights.T)
            self.lines += [
                f"for (int j = 0; j < {source.size}; j++)",
                f"    for (int i = 0; i < {rows}; i++)",
                f"        {result.name}[i] += {matrix}[j * {rows} + i] * {source.name}[j];",
            ]
        return result

    def apply(self, op: str, args: Sequence[CValue | float], size: int) -> CValue:
        result = self._declare(size)
        if op == "outer":
            a, b = (arg for arg in args if isinstance(arg, CValue))
            self._assign(result, f"{a.name}[i / {b.size}] * {b.name}[i % {b.size}]")
        elif op == "spread":
            (a,) = (arg for arg in args if isinstance(arg, CValue))
            self._assign(result, f"{a.name}[i / {size // a.size}]")
        else:
            texts = [arg.at("i") if isinstance(arg, CValue) else literal(arg) for arg in args]
            self._assign(result, OPERATIONS[op](*texts))
        return result

    def head(self, value: CValue, size: int) -> CValue:
        return CValue(value.name, size) if value.size > 1 else value

    def widen(self, value: CValue, size: int) -> CValue:
        """A value as an array of this size, into which it may have to be broadcast."""
        if value.size == size:
            return value
        result = self._declare(size)
        self._assign(result, value.at("i"))
        return result

    def _assign(self, result: CValue, text: str) -> None:
        self.lines.append(f"for (int i = 0; i < {result.size}; i++) {result.name}[i] = {text};")

    def _declare(self, size: int) -> CValue:
        return self.declare(size, "float")

    def _keep(self, values: Floats) -> str:
        return self.keep([literal(number) for number in np.ravel(values).tolist()], "float")

    def declare(self, size: int, number: str) -> CValue:
        """A new array."""
        self._count += 1
        self.lines.append(f"{number} v{self._count}[{size}];")
        return CValue(f"v{self._count}", size)

    def keep(self, numbers: Sequence[str], number: str) -> str:
        """The name of a constant array."""
        name, rows = f"c{len(self.constants)}", [", ".join(numbers[k : k + ROW]) for k in range(0, len(numbers), ROW)]
        self.constants.append(f"static const {number} {name}[{len(numbers)}] = {{\n    " + ",\n    ".join(rows) + "};")
        return name


class CUnits:
    """Statements on doubles."""

    OPERATIONS: ClassVar = {
        "add": "{} + {}", "sub": "{} - {}", "mul": "{} * {}", "div": "{} / {}", "sqrt": "sqrt({})",
        "log1p": "log1p({})", "expm1": "expm1({})", "relu": "{0} < 0.0 ? 0.0 : {0}", "sin": "sin({})",
    }  # fmt: skip

    def __init__(self, emitter: CEmitter) -> None:
        self.emitter = emitter

    def constant(self, values: Doubles) -> CValue:
        return CValue(self.emitter.keep([f"{number!r}" for number in values.tolist()], "double"), len(values))

    def take(self, value: CValue, positions: Sequence[int]) -> CValue:
        if list(positions) == list(range(value.size)):
            return value
        result = self.emitter.declare(len(positions), "double")
        self.emitter.lines += [f"{result.name}[{k}] = {value.name}[{p}];" for k, p in enumerate(positions)]
        return result

    def join(self, parts: Sequence[CValue]) -> CValue:
        if len(parts) == 1:
            return parts[0]
        result, start = self.emitter.declare(sum(part.size for part in parts), "double"), 0
        for part in parts:
            self.emitter.lines += _copies(f"{result.name} + {start}", part, "double")
            start += part.size
        return result

    def apply(self, op: str, *args: CValue) -> CValue:
        return self._each(args[0].size, self.OPERATIONS[op].format(*(f"{arg.name}[i]" for arg in args)))

    def one_hot(self, value: CValue, count: int) -> CValue:
        return self._each(count, f"{value.name}[0] == i ? 1.0 : 0.0")

    def softmax(self, value: CValue) -> CValue:
        n, largest, total = value.size, self.emitter.declare(1, "double"), self.emitter.declare(1, "double")
        self.emitter.lines += [
            f"{largest.name}[0] = {value.name}[0];",
            f"for (int i = 1; i < {n}; i++)",
            f"    if ({value.name}[i] > {largest.name}[0]) {largest.name}[0] = {value.name}[i];",
        ]
        powers = self._each(n, f"exp({value.name}[i] - {largest.name}[0])")
        self.emitter.lines += [
            f"{total.name}[0] = 0.0;",
            f"for (int i = 0; i < {n}; i++) {total.name}[0] += {powers.name}[i];",
        ]
        return self._each(n, f"{powers.name}[i] / {total.name}[0]")

    def is_missing(self, value: CValue) -> CValue:
        return self._each(value.size, "{0} != {0} ? 1.0 : 0.0".format(f"{value.name}[i]"))

    def fill(self, value: CValue) -> CValue:
        return self._each(value.size, "{0} != {0} ? 0.0 : {0}".format(f"{value.name}[i]"))

    def narrow(self, value: CValue) -> CValue:
        return self._each(value.size, f"(float){value.name}[i]", "float")

    def widen(self, value: CValue) -> CValue:
        return self._each(value.size, f"(double){value.name}[i]")

    def _each(self, size: int, text: str, number: str = "double") -> CValue:
        result = self.emitter.declare(size, number)
        self.emitter.lines.append(f"for (int i = 0; i < {size}; i++) {result.name}[i] = {text};")
        return result


def literal(number: float) -> str:
    """A float of C, to the last bit."""
    if np.isnan(number):
        return "NAN"
    if np.isinf(number):
        return "INFINITY" if number > 0 else "-INFINITY"
    text = f"{np.float32(number):.9g}"
    text = text if set(text) & set(".e") else f"{text}.0"
    return f"({text}f)" if text.startswith("-") else f"{text}f"


def identifier(text: str) -> str:
    """A name of C: other characters become underscores."""
    name = re.sub(r"[^A-Za-z0-9_]", "_", text)
    return name if name[:1].isalpha() else f"s{name}"


def _copies(target: str, value: CValue, number: str = "float") -> list[str]:
    return [f"memcpy({target}, {value.name}, {value.size} * sizeof({number}));"]


def _safe(text: str) -> str:
    """In a comment."""
    return text.replace("*/", "* /").replace("/*", "/ *")


def _ignore_unread(lines: Sequence[str]) -> list[str]:
    """Arguments that the step doesn't read."""
    text = "\n".join(lines)
    return [f"(void){name};" for name in ("inputs", "state") if not re.search(rf"\b{name}\b", text)]


def _indent(lines: Sequence[str], spaces: int = 4) -> str:
    return "\n".join(" " * spaces + line if line else "" for line in lines)
