"""What a generation or update of each trainer costs as populations, networks and sequences grow.

    python -m benchmarks.growth [--quick] [--picture docs/results/growth.png] [--json FILE]

One is varied at a time: members 16 … 65,536 (of 8 units), units 4 … 1,024 (32 members), time steps 16 … 16,384 (32
members of 8 units); Elman networks, 32 sequences of 20 steps. Gradient trainers have as many restarts as the others
have members. What does not fit into memory is refused before anything is computed, and stands as "refused".
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks.picture import save
from evornn.arrays import Streams
from evornn.errors import EvornnError
from evornn.experiments.execute import build_run
from evornn.experiments.reporting import palette
from evornn.training.environment import machine
from evornn.training.make_problem import make_problem
from evornn.training.oracle import LocalOracle

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

USUAL = {"members": 32, "units": 8, "steps": 20}
SIZES = {
    "members": (16, 64, 256, 1024, 4096, 16_384, 65_536),
    "units": (4, 16, 64, 256, 1024),
    "steps": (16, 64, 256, 1024, 4096, 16_384),
}
TRAINERS: dict[str, dict[str, Any]] = {
    "cma_es": {"kind": "cma_es"},
    "cma_es, limited memory": {"kind": "cma_es", "covariance": "limited_memory"},
    "snes": {"kind": "snes"},
    "openai_es": {"kind": "openai_es"},
    "genetic_algorithm": {"kind": "genetic_algorithm"},
    "adam": {"kind": "adam"},
}
LONGEST, LEAST, MOST = 4.0, 3, 30  # seconds of a point once it has so many generations, and how many suffice
Row = dict[str, Any]


def main(given: Sequence[str] | None = None) -> None:
    """Print the tables; draw them and write them to a file if asked."""
    parser = argparse.ArgumentParser("python -m benchmarks.growth", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the two smallest sizes of each")
    parser.add_argument("--picture", type=Path, metavar="PNG")
    parser.add_argument("--json", type=Path, metavar="FILE")
    asked = parser.parse_args(given)
    rows = [
        measure(varied, size, name)
        for varied, sizes in SIZES.items()
        for size in (sizes[:2] if asked.quick else sizes)
        for name in TRAINERS
    ]
    print("\n".join(tables(rows)))
    if asked.json:
        asked.json.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n")
    if asked.picture:
        save(figure(rows), asked.picture, 1100, 420)


def measure(varied: str, size: int, trainer: str) -> Row:
    """Seconds of a generation: the median, after one that compiles and allocates. None where it was refused."""
    sizes = {**USUAL, varied: size}
    row = {"varied": varied, "size": size, "trainer": trainer}
    try:
        run = build_run(spec(sizes, TRAINERS[trainer]))
    except EvornnError as refusal:
        return {**row, "parameters": None, "seconds": None, "refusal": str(refusal)}
    oracle, streams = LocalOracle(make_problem(run.network, run.data.train, run.loss), 0, 2**62), Streams(0, "growth")
    state, times = run.trainer.start(oracle, streams), []
    while len(times) < 1 + LEAST or (len(times) < MOST and sum(times[1:]) < LONGEST):
        began = perf_counter()
        state = run.trainer.step(state, oracle, streams)
        times.append(perf_counter() - began)
    return {**row, "parameters": run.network.n, "seconds": median(times[1:]), "refusal": None}


def spec(sizes: dict[str, int], trainer: dict[str, Any]) -> dict[str, Any]:
    """A run's fragments."""
    crowd = "restarts" if trainer["kind"] == "adam" else "population"
    return {
        "task": {"kind": "adding", "length": sizes["steps"], "train": 32, "valid": 1, "test": 1},
        "network": {"kind": "elman", "units": sizes["units"]},
        "trainer": {**trainer, crowd: sizes["members"]},
    }


def tables(rows: Sequence[Row]) -> list[str]:
    """Markdown: one for each that is varied, milliseconds of a generation."""
    lines = []
    for varied, group in groupby(rows, key=lambda row: row["varied"]):
        by_key = {(row["size"], row["trainer"]): row for row in group}
        lines += [f"\n| {varied} | parameters | {' | '.join(TRAINERS)} |", f"|--:|--:|{'--:|' * len(TRAINERS)}"]
        for size in dict.fromkeys(size for size, _ in by_key):
            parameters = next(n for name in TRAINERS if (n := by_key[size, name]["parameters"]) is not None)
            cells = " | ".join(_milliseconds(by_key[size, name]["seconds"]) for name in TRAINERS)
            lines.append(f"| {size:,} | {parameters:,} | {cells} |")
    return lines


def _milliseconds(seconds: float | None) -> str:
    if seconds is None:
        return "refused"
    digits = max(0, 1 - math.floor(math.log10(1000 * seconds)))
    return f"{1000 * seconds:,.{digits}f}"


def figure(rows: Sequence[Row]) -> Figure:
    """Three panels, log–log."""
    from plotly.subplots import make_subplots

    panels = make_subplots(1, 3, shared_yaxes=True, horizontal_spacing=0.03)
    panels.update_layout(template=palette.template("light"), legend={"orientation": "h", "y": 1.15})
    looks = palette.styles(TRAINERS)
    for column, (varied, group) in enumerate(groupby(rows, key=lambda row: row["varied"]), 1):
        of_panel = list(group)
        for name, look in looks.items():
            line = [row for row in of_panel if row["trainer"] == name]
            panels.add_scatter(
                x=[row["size"] for row in line],
                y=[None if row["seconds"] is None else 1000 * row["seconds"] for row in line],
                name=name,
                legendgroup=name,
                showlegend=column == 1,
                mode="lines+markers",
                line={"color": look.colour, "dash": look.dash},
                marker={"symbol": look.symbol, "size": 7},
                row=1,
                col=column,
            )
        panels.update_xaxes(type="log", title=_titles()[varied], row=1, col=column)
    panels.update_yaxes(type="log", dtick=1)
    panels.update_yaxes(title="ms per generation or update", row=1, col=1)
    return panels


def _titles() -> dict[str, str]:
    return {"members": "members (8 units)", "units": "units (32 members)", "steps": "time steps (32 members, 8 units)"}


if __name__ == "__main__":
    main()
