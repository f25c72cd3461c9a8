"""The result as a table, with the targets that it meets or misses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

from benchmarks.timing import geometric_mean

Row = dict[str, Any]
TIMES = ("ours_ms", "jax_ms", "torch_ms", "evotorch_ms")
COLUMNS = ("workload", "cell", "operation", *TIMES, "ratio_jax", "gflops", "fraction_of_peak", "of_roofline")


def table(result: dict[str, Any]) -> RenderableType:
    """All rows, then the targets."""
    rows = Table(*(name.replace("_", " ") for name in COLUMNS), box=None, title=_title(result["machine"]))
    for column in rows.columns[3:]:
        column.justify = "right"
    for row in result["rows"]:
        rows.add_row(*(_cell(name, row[name]) for name in COLUMNS))
    return Group(rows, "", *(f"{'met   ' if met else 'missed'}  {what}" for what, met in targets(result["rows"])))


def markdown(result: dict[str, Any]) -> str:
    """The rows for a page of the documentation."""
    lines = [COLUMNS, ["---", "---", "---", *["--:"] * (len(COLUMNS) - 3)]]
    lines += [[_cell(name, row[name]) for name in COLUMNS] for row in result["rows"]]
    return "\n".join(f"| {' | '.join(line)} |".replace("_", " ") for line in lines)


def targets(rows: Sequence[Row]) -> Iterator[tuple[str, bool]]:
    """(what was wanted and what was found, whether that is enough), for the rows that there are."""
    for operation in ("forward", "gradient"):
        matches = [r for r in rows if r["operation"] == operation]
        against = "JAX" if operation == "forward" else "the best of JAX and torch"
        if ratios := [ratio for r in matches if (ratio := speedup(r)) is not None]:
            mean, least = geometric_mean(ratios), min(ratios)
            yield f"{operation}: geometric mean ≥ 3× {against}: {mean:.2f}×", mean >= 3
            yield f"{operation}: no row below 1.5× {against}: least {least:.2f}×", least >= 1.5
    if evotorch := [r["evotorch_ms"] / r["ours_ms"] for r in rows if r["evotorch_ms"] is not None]:
        yield f"forward: ≥ 20× EvoTorch: least {min(evotorch):.1f}×", min(evotorch) >= 20
    for cell, units, wanted in (("elman", 64, 0.55), ("lstm", 32, 0.50)):
        large = [r for r in rows if (r["cell"], r["operation"]) == (cell, "forward") and r["workload"][1] >= units]
        if least := min((r["fraction_of_peak"] for r in large), default=0.0):
            yield f"forward: {cell} with H ≥ {units} at ≥ {wanted:.0%} of the FMA peak: {least:.0%}", least >= wanted
    cell, ratio = slowest(rows)
    yield f"every cell within 2× of LSTM per multiply-add: {cell} {ratio:.2f}×", ratio <= 2


def slowest(rows: Sequence[Row]) -> tuple[str, float]:
    """The cell that takes longest for a multiply-add, compared with LSTM in the same workload and operation."""
    lstm = {(str(r["workload"]), r["operation"]): r["gflops"] for r in rows if r["cell"] == "lstm"}
    ratios = [
        (r["cell"], lstm[key] / r["gflops"]) for r in rows if (key := (str(r["workload"]), r["operation"])) in lstm
    ]
    return max(ratios, key=lambda pair: pair[1], default=("lstm", 1.0))


def speedup(row: Row) -> float | None:
    """How many times faster we are than JAX, for gradients than the better of JAX and torch; None without JAX."""
    if row["jax_ms"] is None:
        return None
    peers = [row["jax_ms"]] if row["operation"] == "forward" else [row["jax_ms"], row["torch_ms"]]
    return float(min(ms for ms in peers if ms is not None) / row["ours_ms"])


def _title(machine: dict[str, Any]) -> str:
    threads, peak = f"{machine['threads']} threads", f"FMA peak {machine['peak_gflops']:.0f} GFLOP/s"
    return ", ".join([machine["cpu"], threads, peak, f"backend {machine['backend']}"])


def _cell(name: str, value: Any) -> str:
    if value is None:
        return "–"
    if name == "workload":
        return ",".join(map(str, value))
    if name in ("fraction_of_peak", "of_roofline"):
        return f"{value:.0%}"
    return str(value) if isinstance(value, str) else f"{value:.3g}" if value < 100 else f"{value:.0f}"
