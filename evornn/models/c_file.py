"""C99: one file without dependencies but the C library's mathematics, for small devices. No heap, no global state.

Matrices are stored by columns, so that a compiler can compute the rows of a product side by side without reordering
sums.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from evornn.arrays import Floats, Genome
from evornn.layout import Layout
from evornn.models.step import emit_step, initial_states, state_sizes

ROW = 8  # numbers on a line
OPERATIONS: dict[str, Callable[..., str]] = {
    "add": "{} + {}".format,
    "sub": "{} - {}".format,
    "mul": "{} * {}".format,
    "div": "{} / {}".format,
    "neg": "-{}".format,
    "stop": "{}".format,
    "tanh": "tanhf({})".format,
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
     {name}_step(&state, inputs, outputs);  for each step: float inputs[{inputs}], outputs[{outputs}]

   Compile it with your program and link the mathematics: cc -O2 ... -lm */

#include <math.h>
#include <string.h>

#define {upper}_INPUTS {inputs}
#define {upper}_OUTPUTS {outputs}

typedef struct {{
{fields}
}} {name}_state;

{constants}

void {name}_reset({name}_state *state)
{{
{reset}
}}

void {name}_step({name}_state *state, const float *inputs, float *outputs)
{{
{step}
}}
"""


def to_c(layout: Layout, genome: Genome, name: str = "network", title: str = "A recurrent network") -> str:
    """The network as C99.

    Args:
        layout: The network.
        genome: Its parameters [n].
        name: Prefix of the functions.
        title: First line of the file.

    Returns:
        The file: `NAME_reset` and `NAME_step`.
    """
    name, sizes, emitter = identifier(name), state_sizes(layout), CEmitter()
    before = {state: CValue(f"state->{identifier(state)}", size) for state, size in sizes.items()}
    step = emit_step(layout, genome, emitter, CValue("inputs", layout.inputs), before)
    after = {state: emitter.widen(step.states[state], size) for state, size in sizes.items()}
    lines = [*emitter.lines, *_copies("outputs", emitter.widen(step.outputs, layout.outputs))]
    lines += [line for state, value in after.items() for line in _copies(before[state].name, value)]
    resets = [
        f"state->{identifier(state)}[{k}] = {literal(number)};"
        for state, values in initial_states(layout, genome).items()
        for k, number in enumerate(values.tolist())
    ]
    return TEMPLATE.format(
        title=title.replace("*/", "* /").replace("/*", "/ *"),
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
        self._count += 1
        self.lines.append(f"float v{self._count}[{size}];")
        return CValue(f"v{self._count}", size)

    def _keep(self, values: Floats) -> str:
        name, numbers = f"c{len(self.constants)}", [literal(number) for number in np.ravel(values).tolist()]
        rows = [", ".join(numbers[k : k + ROW]) for k in range(0, len(numbers), ROW)]
        self.constants.append(f"static const float {name}[{len(numbers)}] = {{\n    " + ",\n    ".join(rows) + "};")
        return name


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


def _copies(target: str, value: CValue) -> list[str]:
    return [f"memcpy({target}, {value.name}, {value.size} * sizeof(float));"]


def _ignore_unread(lines: Sequence[str]) -> list[str]:
    """Arguments that the step doesn't read."""
    text = "\n".join(lines)
    return [f"(void){name};" for name in ("inputs", "state") if not re.search(rf"\b{name}\b", text)]


def _indent(lines: Sequence[str]) -> str:
    return "\n".join(f"    {line}" for line in lines)
