"""How long kernels take to compile, and to load from the cache, in a process that has done nothing before.

    python -m benchmarks.compiling [--quick] [--json FILE] [--cells elman,lstm]

For every gated cell of the catalog: losses and gradients, lanes across the batch and across the members, compiled into
an empty cache by as many processes at a time as there are cores.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from evornn.networks import CELLS

ALONE = """
import sys
from time import perf_counter
from evornn.kernels.simd.seats import Seats
from evornn.networks.network import Network
network = Network(sys.argv[1], inputs=1, units=6, outputs=1, backend="simd")
start = perf_counter()
kernel = network.evaluator._kernel(sys.argv[2], Seats.of(int(sys.argv[3])))
kernel.function
print(perf_counter() - start)
"""
BATCHES = {"batch": 32, "members": 1}


def main(given: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.compiling", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="elman and lstm only")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the result there")
    parser.add_argument("--cells", help="names from the catalog, by default all")
    options = parser.parse_args(given)
    cells = options.cells.split(",") if options.cells else ["elman", "lstm"] if options.quick else list(CELLS)
    result = measured(cells, len(os.sched_getaffinity(0)))
    print("\n".join(lines(result)))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))
    return 0


def measured(cells: Sequence[str], processes: int) -> dict[str, Any]:
    """Seconds of all, and of each kernel: compiled, then loaded."""
    work = [(cell, entry, across) for cell in cells for entry in ("losses", "gradients") for across in BATCHES]
    with tempfile.TemporaryDirectory() as cache, ThreadPoolExecutor(processes) as pool:
        start = perf_counter()
        compiled = list(pool.map(lambda kernel: seconds(cache, *kernel), work))
        together = perf_counter() - start
        loaded = list(pool.map(lambda kernel: seconds(cache, *kernel), work))
    names = ("cell", "entry", "across", "compiled_s", "loaded_s")
    rows = [dict(zip(names, (*w, c, n), strict=True)) for w, c, n in zip(work, compiled, loaded, strict=True)]
    return {"processes": processes, "seconds": together, "rows": rows}


def seconds(cache: str, cell: str, entry: str, across: str) -> float:
    """Of one kernel in a process of its own; starting Python and importing is not counted."""
    command = [sys.executable, "-c", ALONE, cell, entry, str(BATCHES[across])]
    environment = {**os.environ, "EVORNN_CACHE": cache}
    return float(subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout)


def lines(result: dict[str, Any]) -> Iterator[str]:
    """The result in words: the slowest kernels, and whether the targets are met."""
    rows = sorted(result["rows"], key=lambda row: row["compiled_s"], reverse=True)
    for row in rows[:8]:
        name = f"{row['cell']}, {row['entry']}, across the {row['across']}"
        yield f"{name:50} {row['compiled_s']:5.1f} s, from the cache {row['loaded_s']:.2f} s"
    compiled, loaded = ([row[f"{what}_s"] for row in rows] for what in ("compiled", "loaded"))
    yield f"median of {len(rows)} kernels: {median(compiled):.1f} s, from the cache {median(loaded):.2f} s"
    told = (
        (f"one kernel ≤ 10 s: {max(compiled):.1f} s", max(compiled) <= 10),
        (f"from the cache ≤ 1 s: {max(loaded):.2f} s", max(loaded) <= 1),
        (f"all on {result['processes']} cores ≤ 8 min: {result['seconds'] / 60:.1f} min", result["seconds"] <= 480),
    )
    for what, met in told:
        yield f"{'met   ' if met else 'missed'}  {what}"


if __name__ == "__main__":
    sys.exit(main())
