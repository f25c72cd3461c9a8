"""The reference pages in docs/ are those that the catalog makes, with a row and a section for every kind."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import pytest
from annotated_types import Ge, Lt

from evornn.experiments.architectures import examples
from evornn.experiments.catalog import CATALOGS
from evornn.experiments.catalog_pages import COUNTS, PAGES, first_sentence, papers, render_page, update_counts
from evornn.experiments.field_text import comments, type_text
from evornn.networks import CELLS, NETWORKS
from evornn.settings import settings
from evornn.tasks import TASKS
from evornn.trainers import TRAINERS

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"


@pytest.mark.parametrize("name", ["architectures", *PAGES])
def test_the_page_is_what_the_catalog_says(name: str) -> None:
    assert (REFERENCE / f"{name}.md").read_text() == render_page(name), "run `make reference` and commit docs/reference"


@pytest.mark.parametrize("name", ["README.md", "docs/index.md"])
def test_the_size_of_the_catalog_is_counted(name: str) -> None:
    text = (ROOT / name).read_text()
    assert COUNTS.search(text), "says nothing of the form 35 networks, 28 tasks and 27 trainers"
    assert update_counts(text) == text, f"run `make reference` and commit {name}"


def test_counts_of_nothing_else_are_touched() -> None:
    sizes = f"{len(NETWORKS)} [networks](a.md), {len(TASKS)} [tasks](b.md) and {len(TRAINERS)}\n[trainers](c.md)"
    assert update_counts("1 [networks](a.md), 2 [tasks](b.md) and 3\n[trainers](c.md)") == sizes
    assert update_counts("1,024 networks; 3 tasks and 2 trainers") == "1,024 networks; 3 tasks and 2 trainers"


@pytest.fixture(scope="module")
def architectures() -> str:
    return render_page("architectures")


@pytest.mark.parametrize("kind", CELLS)
def test_a_network_that_no_experiment_shows_says_so(kind: str, architectures: str) -> None:
    section = architectures.partition(f"\n## {kind}\n")[2].partition("\n## ")[0]
    assert ("No experiment in" in section) == (examples(kind) == [])
    assert all(f"`{path}`" in section for path in examples(kind))


def test_every_kind_has_its_section() -> None:
    sections = {name for page in REFERENCE.glob("*.md") for name in re.findall(r"^## (\w+)$", page.read_text(), re.M)}
    assert {name for catalog in CATALOGS.values() for name in catalog} <= sections


@pytest.mark.parametrize(
    ("kind", "sentence", "paper"),
    [
        (TASKS["parity"], "Parity of any length: is the number of ones odd?", "Hochreiter & Schmidhuber 1996"),
        (
            TRAINERS["adam"],
            "Adam: gradient descent with an individual step size for every parameter",
            "Kingma & Ba 2015",
        ),
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
