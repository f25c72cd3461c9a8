"""What is said of every network is true: its page, its file, its number of parameters."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from evornn.experiments.description import DOCUMENT, describe
from evornn.layout import Layout
from evornn.networks import CELLS

every_network = pytest.mark.parametrize("name", CELLS)


@every_network
def test_a_file_begins_with_its_paper_and_equation_and_is_short(name: str) -> None:
    file = Path(inspect.getfile(CELLS[name]))
    text = file.read_text()
    written = DOCUMENT.fullmatch(inspect.getdoc(inspect.getmodule(CELLS[name])).replace(":\n\n", ": "))
    assert file.stem == name and len(text.splitlines()) < 60
    assert written and "=" in written["equation"]
    assert re.search(r"\b(19|20)\d\d\b", written["paper"]) or name == "ctrnn_neat"
    assert "Initial weights" in inspect.getdoc(CELLS[name])


@every_network
@pytest.mark.parametrize("sizes", [(1, 8, 1), (3, 5, 2)])
def test_the_formula_counts_the_parameters(name: str, sizes: tuple[int, int, int]) -> None:
    inputs, units, outputs = sizes
    cell, formula = CELLS[name](), describe(name).parameters
    n = Layout(cell, inputs, units, outputs, cell.default_layers, "zero").n
    counted = sum(value(term, inputs, units, outputs) for term in formula.split(",")[0].split(" + "))
    assert counted == n if "mask" not in formula else counted > n
    if sizes == (1, 8, 1):
        assert describe(name).example == n


def value(term: str, inputs: int, units: int, outputs: int) -> int:
    """4H²I → 4·units²·inputs."""
    count, letters = re.fullmatch(r"(\d*)(.*)", term).groups()
    product = int(count or 1)
    for letter, power in re.findall(r"([IHOK])([²³]?)", letters):
        product *= {"I": inputs, "H": units, "O": outputs, "K": units}[letter] ** {"": 1, "²": 2, "³": 3}[power]
    return product


@every_network
def test_every_network_is_fused(name: str) -> None:
    assert describe(name).backends == "simd, torch"
