"""The reference pages that are made from the catalog: `make reference`, or
`python -m evornn.experiments.catalog_pages docs/reference README.md …`, which also counts the catalog in those files.

A page has one table of all entries and a section for each, with what its file says and its settings: name, type,
default, and the comment behind the field. So a new task or trainer needs no line written by hand.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from inspect import getdoc, getmodule
from pathlib import Path
from textwrap import fill
from typing import Any

from evornn.experiments import architectures
from evornn.experiments.catalog import CATALOGS, Entry, entries
from evornn.experiments.field_text import comments, type_texts
from evornn.experiments.spec import NetworkSize
from evornn.networks import CELLS, NETWORKS
from evornn.tasks import TASKS
from evornn.trainers import TRAINERS

NAME = r"(?:de |van )?[A-ZÀ-Þ][\w’'.-]*\w"
CITATION = re.compile(rf"{NAME}(?:, {NAME})*(?: & {NAME}| et al\.)? \(?(?:18|19|20)\d\d\)?")
LINK = r"\]?(?:\([^)]*\))?"  # what may follow a linked word
COUNTS = re.compile(rf"\d+(\s\[?networks{LINK},\s)\d+(\s\[?tasks{LINK}\sand\s)\d+(\s\[?trainers)")
IN_BRACKETS = re.compile(r" ?\((?:after )?[^()]*\b(?:18|19|20)\d\d\b[^()]*\)")

PROVENANCE = (
    "`make reference` generates this page from the files in `{folder}`; `evornn catalog KIND` shows the entry of one "
    "kind."
)


@dataclass(frozen=True)
class CatalogPage:
    """One page of the catalog, with a column of its own kind or none."""

    title: str
    head: str
    group: str  # tasks, networks, trainers
    kinds: Sequence[str]
    column: str = ""
    value: Callable[[type[Any]], str] = lambda kind: ""


PAGES = {
    "tasks": CatalogPage(
        "Tasks",
        PROVENANCE.format(folder="evornn/tasks/") + " The [guide](../guides/tasks.md) has the purpose, sizes, loss "
        "and score of each task.",
        "tasks",
        list(TASKS),
    ),
    "trainers": CatalogPage(
        "Trainers",
        PROVENANCE.format(folder="evornn/trainers/") + " The [guide](../guides/trainers.md) explains settings that "
        "many trainers share. Which trainer suits which problem: "
        "[how to choose a trainer](../guides/choose_trainer.md).",
        "trainers",
        list(TRAINERS),
        "family",
        lambda kind: str(kind.family),
    ),
    "torch_models": CatalogPage(
        "Networks written in torch",
        PROVENANCE.format(folder="evornn/networks/architectures/")
        + " These architectures are not cells, so they have no SIMD kernel. Of files, `evornn "
        "model` writes `.safetensors` alone. Their use: [guide](../guides/torch_models.md). All other networks: "
        "[networks](architectures.md).",
        "networks",
        [name for name in NETWORKS if name not in CELLS],
        "gradient",
        lambda kind: "yes" if kind.differentiable else "no",
    ),
}


def render_page(name: str) -> str:
    """The text of one page of PAGES, or of architectures."""
    if name == "architectures":
        return architectures.render_page()
    page = PAGES[name]
    listed = [entry for entry in entries() if entry.group == page.group and entry.name in page.kinds]
    head = f"# {page.title}\n\n{_wrap(page.head)}\n\n"
    return head + _table(page, listed) + "".join(_section(page, entry) for entry in listed)


def _table(page: CatalogPage, listed: list[Entry]) -> str:
    titles = ["kind", *([page.column] if page.column else []), "what it is", "paper"]
    rows = [titles, ["---"] * len(titles)]
    for entry in listed:
        kind = CATALOGS[page.group][entry.name]
        column = [page.value(kind)] if page.column else []
        rows.append([f"[`{entry.name}`](#{entry.name})", *column, first_sentence(kind), papers(kind)])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _section(page: CatalogPage, entry: Entry) -> str:
    kind = CATALOGS[page.group][entry.name]
    text = "\n\n".join(paragraphs(documents(kind)))
    return f"\n## {entry.name}\n\n{text}\n\n{_settings(kind, entry.settings)}"


def _settings(kind: type[Any], defaults: dict[str, Any]) -> str:
    if not defaults:
        return "No settings.\n"
    types, notes = type_texts(NetworkSize) | type_texts(kind), comments(NetworkSize) | comments(kind)
    rows = [
        f"| `{name}` | {types.get(name, '')} | {_default(kind, name, value)} | {_cell(notes.get(name, ''))} |\n"
        for name, value in defaults.items()
    ]
    return "| setting | type | default | |\n|---|---|---|---|\n" + "".join(rows)


def _default(kind: type[Any], name: str, value: Any) -> str:
    parts = getattr(kind, "parts", {})
    if name in parts and value not in (None, "required"):
        default = getattr(kind(), name)  # a thing of a catalog, or several
        return ", ".join(f"`{parts[name].name_of(part)}`" for part in _several(default))
    if isinstance(value, dict):
        return "`{" + ", ".join(f"{key}: {part}" for key, part in value.items()) + "}`"
    if value is None or isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return "*required*" if value == "required" else f"`{value}`"


def _wrap(text: str) -> str:
    return fill(text, 120, break_long_words=False, break_on_hyphens=False)


def _several(part: Any) -> tuple[Any, ...]:
    return part if isinstance(part, tuple) else (part,)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def documents(kind: type[Any]) -> str:
    """What the file says at its top, and the class below it."""
    return f"{getdoc(getmodule(kind)) or ''}\n\n{getdoc(kind) or ''}".strip()


def paragraphs(text: str) -> list[str]:
    """Each in lines of at most 120; what a Markdown reader would take for something else is escaped."""
    parts = [" ".join(part.split()).replace("*", "\\*").replace("<", "&lt;") for part in text.split("\n\n")]
    return [_wrap(part) for part in parts if part]


def first_sentence(kind: type[Any]) -> str:
    """Of the file, without its citations."""
    text = IN_BRACKETS.sub("", " ".join((getdoc(getmodule(kind)) or getdoc(kind) or "").split("\n\n")[0].split()))
    return _cell(re.split(r"(?<=[.?!])\s", text)[0].rstrip(".:"))


def papers(kind: type[Any]) -> str:
    """Authors and years that the file's first lines cite."""
    texts = [getdoc(getmodule(kind)) or "", (getdoc(kind) or "").split("\n\n")[0]]
    citations = [
        re.sub(r"[()]", "", citation) for text in texts for citation in CITATION.findall(" ".join(text.split()))
    ]
    return "; ".join(dict.fromkeys(citations)) or "–"


def update_counts(text: str) -> str:
    """A text whose "35 networks, 28 tasks and 27 trainers" are as many as the catalog has."""
    return COUNTS.sub(rf"{len(NETWORKS)}\g<1>{len(TASKS)}\g<2>{len(TRAINERS)}\g<3>", text)


if __name__ == "__main__":
    for name in ("architectures", *PAGES):
        Path(sys.argv[1], f"{name}.md").write_text(render_page(name))
    for file in map(Path, sys.argv[2:]):
        file.write_text(update_counts(file.read_text()))
