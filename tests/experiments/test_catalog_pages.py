"""The reference pages in docs/ are those that the catalog makes, with a row and a section for every kind."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import pytest
from annotated_types import Ge, Lt

from evornn.experiments.catalog import CATALOGS
from evornn.experiments.catalog_pages import PAGES, first_sentence, papers, render_page
from evornn.experiments.field_text import comments, type_text
from evornn.networks import CELLS
from evornn.settings import settings
from evornn.tasks import TASKS
from evornn.trainers import TRAINERS

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


@pytest.mark.parametrize("name", ["architectures", *PAGES])
def test_the_page_is_what_the_catalog_says(name: str) -> None:
    assert (REFERENCE / f"{name}.md").read_text() == render_page(name), "run `make reference` and commit docs/reference"


def test_every_kind_has_its_section() -> None:
    sections = {name for page in REFERENCE.glob("*.md") for name in re.findall(r"^## (\w+)$", page.read_text(), re.M)}
    assert {name for catalog in CATALOGS.values() for name in catalog} <= sections


@pytest.mark.parametrize(
    ("kind", "sentence", "paper"),
    [
        (TASKS["parity"], "Parity of any length: is the number of ones odd?", "Hochreiter & Schmidhuber 1996"),
        (TRAINERS["adam"], "Adam: gradient descent with a step of its own for every parameter", "Kingma & Ba 2015"),
    ],
)
def test_what_a_row_says(kind: type, sentence: str, paper: str) -> None:
    assert (first_sentence(kind), papers(kind)) == (sentence, paper)


@pytest.mark.parametrize(
    ("hint", "text"),
    [
        (Annotated[int, Ge(2)], "integer ≥ 2"),
        (Annotated[float, Ge(0), Lt(1)] | None, "number ≥ 0, < 1 or none"),
        (Literal["ring", "all"], "`ring` or `all`"),
        (tuple[float, float], "list of numbers"),
        (tuple[int, ...] | None, "list of integers or none"),
        (bool, "true or false"),
    ],
)
def test_types_in_words(hint: object, text: str) -> None:
    assert type_text(hint) == text


@settings
class Base:
    """A class outside of evornn has no comments in the pages."""

    size: int = 1  # not read


def test_comments_are_read_from_the_package_alone() -> None:
    assert comments(Base) == {}
    assert comments(TRAINERS["snes"])["learning_rate"] == "of the mean"
    assert "batch" in comments(TRAINERS["snes"])  # inherited
    assert comments(CELLS["lstm"])
