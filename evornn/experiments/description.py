"""A network described from its own file and its trace: equation, paper, parameters, backends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from evornn.cell import Cell
from evornn.layout import Layout, source_names
from evornn.networks import CELLS
from evornn.networks.documentation import match_head, split_documentation
from evornn.ops import Size

LETTERS = {"inputs": "I", "units": "H", "outputs": "O", "blocks": "K", "one": ""}
EXAMPLE = {"inputs": 1, "units": 8, "outputs": 1}


@dataclass(frozen=True)
class ArchitectureSummary:
    """One network, as its file describes it."""

    title: str
    paper: str
    equation: str
    notes: str
    parameters: str  # as a function of I, H and O
    example: int  # parameters at the sizes of EXAMPLE
    backends: str


def describe(name: str) -> ArchitectureSummary:
    """Describe an architecture by its name in the catalog, or a user's own cell."""
    kind = CELLS[name]
    cell = CELLS.build({"kind": name})
    head, text = split_documentation(kind)
    parts = match_head(head)
    title, paper, equation = parts.groups() if parts else (kind.__name__, "–", head)
    notes = "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))
    return ArchitectureSummary(title, paper, equation.strip(), notes, parameters(cell), _layout(cell).n, backends(cell))


def backends(cell: Cell) -> str:
    """The backends that can compute a cell's equation."""
    from evornn.kernels.simd.programs.equation import Equation, UnsupportedEquation  # and numba, which takes a second

    try:
        Equation(cell.trace())
    except UnsupportedEquation as reason:
        return f"torch (not simd: {reason})"
    return "simd, torch"


def parameters(cell: Cell) -> str:
    """Number of parameters as a polynomial of the sizes: `4HI + 4H² + 4H + HO + O`."""
    terms = Counter(
        tuple(sorted(letter for name in names if (letter := LETTERS.get(name, name)))) for names in _weights(cell)
    )
    ordered = sorted(terms.items(), key=lambda item: (-len(item[0]), item[0]))
    formula = " + ".join(f"{count if count > 1 or not term else ''}{_power(term)}" for term, count in ordered)
    masked = any(block.mask is not None and block.size for block in _layout(cell).blocks.values())
    return f"{formula}, less what the mask leaves out" if masked else formula


def _layout(cell: Cell) -> Layout:
    return Layout(cell, **EXAMPLE, layers=cell.default_layers, initial_state="zero", readout=True)


def _weights(cell: Cell) -> Iterator[list[str]]:
    """For each matrix and vector, the names of the sizes whose product is its number of weights."""
    trace, fixed = cell.trace(), _layout(cell).fixed_weights
    for layer in range(cell.default_layers):
        inner = {} if layer == 0 else {"inputs": str(trace.output.size)}  # the output of the layer below
        for node in trace.maps.values():
            for source, label in zip(node.nodes, source_names(node), strict=True):
                if f"{layer}.{node.name}.{label}" not in fixed:
                    yield _names(inner, node.size, source.size)
            yield from [_names(inner, node.size)] * node.bias
        yield from (_names(inner, node.size) for node in trace.vectors.values())
    if cell.readout:
        yield _names({}, "outputs", trace.output.size)
        yield from [["outputs"]] * cell.readout_bias


def _names(inner: dict[str, str], *sizes: Size) -> list[str]:
    flat = [name for size in sizes for name in ([size] if isinstance(size, str) else size)]
    return [inner.get(name, name) for name in flat]


def _power(letters: tuple[str, ...]) -> str:
    counts = Counter(letters)
    return "".join(letter + {1: "", 2: "²", 3: "³"}[count] for letter, count in counts.items())
