"""A published table as data: what was measured, on what, what came out; and the specs that repeat it.

A section is one YAML file beside this one: title, source, figure (see `figures.py`), unit, seeds, departures, lines. A
line is a published number with the task, network(s), trainer and budget of the runs that are held against it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from evornn.errors import UnknownName
from evornn.experiments.yaml import read

QUICK_STEPS = 10_000  # at least
FOLDER = Path(__file__).parent
NAMES = tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


@dataclass(frozen=True)
class Line:
    """One published number."""

    name: str
    published: float | None  # None: the paper has none, ours is for completeness
    spec: Mapping[str, Any]  # the experiment that repeats it
    full: bool = False  # too long for 10 minutes: only with --full


@dataclass(frozen=True)
class Section:
    """One published table."""

    name: str
    title: str
    source: str
    figure: str  # which number of the runs is compared: a key of figures.FIGURES
    unit: str
    tolerance: float  # a factor for costs ("not worse than"), a share for scores ("within")
    departures: tuple[str, ...]  # from the paper's protocol
    lines: tuple[Line, ...]


def section(name: str, quick: bool = False) -> Section:
    """Read a section. With `quick`, two seeds and a hundredth of each budget. Raises UnknownName."""
    if name not in NAMES:
        raise UnknownName("paper", name, NAMES)
    data = read(FOLDER / f"{name}.yaml")
    lines = tuple(_line(name, line, data, quick) for line in data["lines"])
    return Section(
        name=name,
        title=data["title"],
        source=data["source"],
        figure=data["figure"],
        unit=data["unit"],
        tolerance=data["tolerance"],
        departures=tuple(data.get("departures", ())),
        lines=lines,
    )


def _line(section: str, line: Mapping[str, Any], data: Mapping[str, Any], quick: bool) -> Line:
    budget = {"marks": 20, **line["budget"]}
    seeds = line.get("seeds", data["seeds"])
    spec = {
        "name": f"{section}: {line['name']}",
        "tasks": [line["task"]],
        "networks": [{**line["network"], **varied} for varied in _varied(line.get("vary", {}))],
        "trainers": [line["trainer"]],
        "seeds": min(seeds, 2) if quick else seeds,
        "budget": {**budget, "steps": _quick(budget["steps"])} if quick else budget,
        **({"resources": line["resources"]} if "resources" in line else {}),
    }
    return Line(line["name"], line.get("published"), spec, bool(line.get("full", False)))


def _quick(steps: int) -> int:
    return max(steps // 100, min(steps, QUICK_STEPS))


def _varied(vary: Mapping[str, int]) -> Iterator[dict[str, int]]:
    """`{reservoir: 20}`: twenty networks with the reservoirs 0 … 19."""
    return (dict(zip(vary, values, strict=True)) for values in product(*map(range, vary.values())))
