"""The reference page of all cells, docs/reference/architectures.md; `make reference` writes it."""

from __future__ import annotations

from pathlib import Path
from textwrap import fill

from evornn.experiments.catalog import defaults, formats
from evornn.experiments.description import ArchitectureSummary, describe
from evornn.experiments.yaml import read
from evornn.networks import CELLS

ROOT = Path(__file__).parents[2]
HEAD = """# Networks

`make reference` generates this page from the files in `evornn/networks/architectures/`; `evornn catalog KIND` shows the
entry of one kind. Which network suits which problem: [how to choose a network](../guides/choose_network.md).
Architectures that are not cells: [networks written in torch](torch_models.md).

Letters: I inputs, H units, O outputs, K blocks; σ logistic, ⊙ elementwise, f the `activation`. All states start at 0
unless `initial_state` is learned. Parameter counts are for the default settings and include the read-out.

| kind | architecture | paper | parameters | I = 1, H = 8, O = 1 |
|---|---|---|---|---|
"""


def render_page() -> str:
    """docs/reference/architectures.md."""
    summaries = {name: describe(name) for name in CELLS}
    rows = [
        f"| [`{name}`](#{name}) | {a.title} | {a.paper} | {a.parameters} | {a.example} |\n"
        for name, a in summaries.items()
    ]
    return HEAD + "".join(rows) + "".join(_section(name, a) for name, a in summaries.items())


def _section(name: str, a: ArchitectureSummary) -> str:
    settings = ", ".join(f"`{key}` {value}" for key, value in defaults(CELLS[name]).items()) or "none of its own"
    files = ", ".join(f"`{suffix}`" for suffix in formats(CELLS[name]))
    notes = "\n\n".join(fill(paragraph, 120) for paragraph in a.notes.split("\n\n"))
    return (
        f"\n## {name}\n\n{a.title} ({a.paper})\n\n```text\n{a.equation}\n```\n\n{notes}\n\n"
        f"Settings: {settings}. Backends: {a.backends}. Files: {files}.\n{_examples(name)}"
    )


def examples(kind: str) -> list[Path]:
    """The files in examples/architectures, relative to the repository, whose networks name a kind."""
    files = sorted((ROOT / "examples" / "architectures").glob("*.yaml"))
    return [file.relative_to(ROOT) for file in files if kind in {n["kind"] for n in read(file)["networks"]}]


def _examples(kind: str) -> str:
    paths = examples(kind)
    if not paths:
        return "\nNo experiment in `examples/architectures/` shows it yet.\n"
    links = [f"`{path}` ([results](../results/examples.md#{path.stem.replace('_', '-')}))" for path in paths]
    return f"\nExample{'s' if len(links) > 1 else ''}: {', '.join(links)}.\n"
