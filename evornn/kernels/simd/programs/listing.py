"""A program in readable form: one line for each instruction.

>>> from evornn.layout import Layout
>>> from evornn.networks import CELLS
>>> print(listing(Program(Layout(CELLS["elman"](), 1, 4, 1, 1, "zero"), 2, "losses"), "step"))
affine               4 rows  work 15    = weights 1 · (this 8…12)
tanh                 4 rows  next 9     = work 15
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from evornn.kernels.simd.interpreter.instructions import AFFINE, ELEMENTWISE, OTHERS, WORDS
from evornn.kernels.simd.interpreter.operations import EMITTERS
from evornn.kernels.simd.programs.program import Program

BASES = "work", "this", "next", "now", "old"  # the workspace, frames, cotangents (`steps`)
_NAMES = {number: name for name, number in {**ELEMENTWISE, **OTHERS}.items()}


def listing(program: Program, table: str) -> str:
    """A table of a program. Numbers after a base are rows, `weights` a position in the packed weights, `at` one in the
    packed gradient."""
    lines = []
    for words in program.code[table].reshape(-1, WORDS):
        name = "affine" if AFFINE <= words[0] < AFFINE + 8 else _NAMES[int(words[0])]
        adds = name == "affine" and (int(words[0]) - AFFINE) % 2
        to = f"{_place(program, int(words[2])):9} {'+=' if adds else ' ='}"
        lines.append(f"{name:18}{words[1]:4} rows  {to} {_operands(program, name, words)}")
    return "\n".join(lines)


def _operands(program: Program, name: str, words: np.ndarray) -> str:
    pairs = [(int(words[k]), int(words[k + 1])) for k in range(4, WORDS, 2)]
    if name in ELEMENTWISE:
        used = pairs[: EMITTERS[name].__code__.co_argcount]
        return ", ".join(_place(program, place) + ("" if mask < 0 else " (one row)") for place, mask in used)
    sources = " ".join(_rows(program, pairs, name))
    return f"weights {words[3]} · ({sources})" if name == "affine" else f"{sources} at {words[3]}"


def _rows(program: Program, pairs: list[tuple[int, int]], name: str) -> Iterator[str]:
    for place, count in pairs if name in ("affine", "product", "total") else pairs[:1]:
        if count:
            first = (place >> 3) // program.row
            yield f"{_place(program, place)}…{first + count - 1}"


def _place(program: Program, address: int) -> str:
    return f"{BASES[address & 7]} {(address >> 3) // program.row}"
