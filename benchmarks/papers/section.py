"""A published table as data: what was measured, on what, what came out; and the specs that repeat it.

A section is one YAML file beside this one: title, source, figure (see `figures.py`), reproduced (see `rules.py`), unit,
seeds, departures, lines, claims (see `claims.py`). A line is a published number with the task, network(s), trainer and
budget of the runs that are held against it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.papers.claims import Claim
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
    file: str | None = None  # that its task reads from the working folder; without it the line is left out

    @property
    def is_ready(self) -> bool:
        """Whether its data are there."""
        return self.file is None or Path(self.file).is_file()


@dataclass(frozen=True)
class Section:
    """One published table."""

    name: str
    title: str
    source: str
    figure: str  # which number of the runs is compared: a key of figures.FIGURES
    reproduced: str  # when it counts as reproduced: a key of rules.RULES
    unit: str
    departures: tuple[str, ...]  # from the paper's protocol
    lines: tuple[Line, ...]
    tolerance: float = 0.0  # what the rule allows, where it allows any
    bound: float | None = None  # no score can be higher: a run above it has found an error of the simulation
    claims: tuple[Claim, ...] = ()  # about the order of the lines


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
        reproduced=data["reproduced"],
        unit=data["unit"],
        departures=tuple(data.get("departures", ())),
        lines=lines,
        tolerance=data.get("tolerance", 0.0),
        bound=data.get("bound"),
        claims=tuple(Claim(**claim) for claim in data.get("claims", ())),
    )


def _line(section: str, line: Mapping[str, Any], data: Mapping[str, Any], quick: bool) -> Line:
    budget = {"marks": 20, **line["budget"]}
    seeds = line.get("seeds", data["seeds"])
    spec = {
        "name": f"{section}: {line['name']}",
        "tasks": [line["task"]],
        "networks": [{**line["network"], **varied} for varied in _variations(line.get("vary", {}))],
        "trainers": [line["trainer"]],
        "seeds": min(seeds, 2) if quick else seeds,
        "budget": {**budget, "steps": _quick(budget["steps"])} if quick else budget,
        **({"resources": line["resources"]} if "resources" in line else {}),
    }
    return Line(line["name"], line.get("published"), spec, bool(line.get("full", False)), line.get("file"))


def _quick(steps: int) -> int:
    return max(steps // 100, min(steps, QUICK_STEPS))


def _variations(vary: Mapping[str, int]) -> Iterator[dict[str, int]]:
    """`{reservoir: 20}`: twenty networks with the reservoirs 0 … 19."""
    return (dict(zip(vary, values, strict=True)) for values in product(*map(range, vary.values())))
