"""What is said of every network is true: its page, its file, its number of parameters."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from evornn.experiments.description import describe
from evornn.layout import Layout
from evornn.networks import CELLS
from evornn.networks.documentation import match_head, split_documentation

every_network = pytest.mark.parametrize("name", CELLS)


@every_network
def test_its_text_begins_with_its_paper_and_equation(name: str) -> None:
    head, notes = split_documentation(CELLS[name])
    parts = match_head(head)
    form = "`Title (Authors year): equation`, at the top of the file or of the class"
    assert parts and "=" in parts["equation"], f"{inspect.getfile(CELLS[name])} lacks {form}; it begins with {head!r}"
    assert re.search(r"\b(19|20)\d\d\b", parts["paper"]) or name == "ctrnn_neat", f"no year in {parts['paper']!r}"
    assert "Initial weights" in " ".join(notes.split()), (
        f"say in the docstring of {CELLS[name].__name__} how weights are initialised"
    )


@every_network
def test_its_file_is_short_and_has_its_name_or_several(name: str) -> None:
    file = Path(inspect.getfile(CELLS[name]))
    siblings = [other for other in CELLS if inspect.getfile(CELLS[other]) == str(file)]
    lines = len(file.read_text().splitlines())
    assert lines <= 65 * len(siblings), "longer than an equation: what others can use belongs into evornn/networks/"
    assert file.stem == name or len(siblings) > 1


@every_network
def test_no_other_network_has_its_text(name: str) -> None:
    """In a file of several each class says its own."""
    others = [other for other in CELLS if split_documentation(CELLS[other])[0] == split_documentation(CELLS[name])[0]]
    assert others == [name], "begin the docstring of each with `Title (Authors year): equation` and an empty line"


class Gated:
    """One of several (Doe 2026): with e = E xₜ,

    hₜ = e.

    The rest.

    And more."""


class Plain:
    """Says (in brackets) nothing of a paper."""


def test_a_class_in_a_file_of_several_has_the_whole_text() -> None:
    assert split_documentation(Gated) == (
        "One of several (Doe 2026): with e = E xₜ,\n\nhₜ = e.",
        "The rest.\n\nAnd more.",
    )
    assert split_documentation(Plain) == (inspect.getdoc(inspect.getmodule(Plain)), inspect.getdoc(Plain))


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
