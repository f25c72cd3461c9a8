"""Source of a kernel, generated from a cell's schedule: readable Python that numba compiles, one module per cell.

Sizes, layers, losses and masks are inputs: `T` holds, per layer, the sizes and positions that `plan` has laid out, and
a name in the source (`state_h`, `weights_g0`) is a column of it. `Z` is the workspace: two frames of rows that
alternate, or one per time step when gradients need them, then what does not change with time. A row is `vectors`
vectors of LANES floats: two independent computations hide each other's latencies, and weights are read once for both.
"""

from __future__ import annotations

import re

from evornn.kernels.simd import microkernels
from evornn.kernels.simd.backward import Backward
from evornn.kernels.simd.entries import ACROSS, ENTRIES, HEAD
from evornn.kernels.simd.places import GLOBAL, PER_LAYER, function, indent
from evornn.kernels.simd.program import Program

__all__ = ["GLOBAL", "PER_LAYER", "Source", "function", "indent"]


class Source(Backward):
    """The source of one module: `text`, and the `symbols` that a plan has to lay out, in the order of T's columns."""

    def __init__(self, program: Program, entry: str, across: str, title: str, vectors: int) -> None:
        self.across = across
        super().__init__(program, entry, vectors)
        text, before = self._write(), None
        while before != (before := (frozenset(self.kept), frozenset(self.crossing), frozenset(self.late))):
            text = self._write()
        self.aliases = self._find_aliases()
        text = self._write()
        self.symbols = dict(sorted(self.named.items()))
        head = HEAD.format(title=title, across=across, ACROSS=across.upper(), vectors=vectors, **ACROSS[across])
        self.text = head + self._with_table(text)

    def _write(self) -> str:
        self.begin()
        parts = [self._static(), self._start(), self._forward()]
        if self.gradient:
            parts += [self._backward(), self._products(), self._clear(), self._static_back(), self._start_back()]
        kernels = self._affine_kernels()
        if self.entry != "losses":
            kernels.append(microkernels.product())
        if self.gradient:
            kernels.append(microkernels.total())
        if self.entry == "products":
            parts.append(self._gather())
        return "\n\n\n".join([*kernels, *parts, ENTRIES[self.entry]])

    def _affine_kernels(self) -> list[str]:
        named = [
            microkernels.instructions(add, self.vectors, self.across) for add in sorted({a for _, a in self.affines})
        ]
        return [*named, *(microkernels.affine(k, add, self.vectors) for k, add in sorted(self.affines))]

    def _with_table(self, text: str) -> str:
        """Each function reads from T the names that it uses."""
        columns = {name: k for k, name in enumerate(self.symbols)}
        return "\n\n\n".join(self._reading(part, columns) for part in text.split("\n\n\n"))

    def _reading(self, part: str, columns: dict[str, int]) -> str:
        used = [name for name in columns if re.search(rf"(?<![@\w]){name}\b", part)]
        lines: list[str] = []
        for line in part.split("\n"):
            space = line[: len(line) - len(line.lstrip())]
            if line.strip() == "@TABLE":
                lines += [
                    f"{space}q = layer * {len(columns)}",
                    *(f"{space}{n} = T[q + {columns[n]}]" for n in used if n not in GLOBAL),
                ]
            elif line.strip() == "@GLOBAL":
                lines += [f"{space}{n} = T[{columns[n]}]" for n in used if n in GLOBAL]
            else:
                lines.append(re.sub(r"@(\w+)", lambda m: str(columns[m[1]]) if m[1] in columns else m[0], line))
        return "\n".join(lines).replace("* @COLUMNS", f"* {len(columns)}")
