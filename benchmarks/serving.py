"""What a trained model costs at work: one row of a stream, in Python and in C; a long CSV file, with the peak memory of
the command and the shares of reading, computing and writing.

    python -m benchmarks.serving [--quick] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

import numpy as np

from evornn.cli.models import _write
from evornn.data.preparation import Feature, OutputColumn, Preparation
from evornn.data.table import Table
from evornn.models.make import architecture_of
from evornn.models.standalone import StandaloneModel
from evornn.models.stream import WindowStream
from evornn.models.table_file import read_parts
from evornn.networks.network import Network

UNITS, ROUNDS = 32, 9
KINDS = "elman", "gru", "lstm", "lstm_peephole", "mut1"
LOAD = Feature("load", mean=50.0, std=20.0)
FORECAST = Preparation("forecast", (LOAD,), (OutputColumn("load", mean=50.0, std=20.0, difference=True),), window=24)
LABEL = Preparation("label", (LOAD,), (OutputColumn("state", categories=("low", "middle", "high")),))
MAIN = """
#include <stdio.h>
#include <time.h>
#include "net.c"
int main(void) {
    net_state state; double x[NET_INPUTS], y[NET_OUTPUTS], sum = 0; struct timespec a, b;
    net_reset(&state);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
    for (int k = 0; k < %d; k++) { x[0] = 50 + k %% 17; net_step(&state, x, y); sum += y[0]; }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
    fprintf(stderr, "%%g", sum);
    printf("%%.9g\\n", (b.tv_sec - a.tv_sec) * 1e6 + (b.tv_nsec - a.tv_nsec) / 1e3);
    return 0;
}
"""


def model_of(kind: str, preparation: Preparation) -> StandaloneModel:
    """A model of 32 units that nobody has trained."""
    network = Network(kind, inputs=1, units=UNITS, outputs=sum(answer.width for answer in preparation.answers))
    sizes = network.layout.inputs, network.layout.outputs
    return StandaloneModel(architecture_of(network), *sizes, network.sample(1, 0)[0], preparation)


def stream_in_python(model: StandaloneModel, rows: int, windows: bool = False) -> float:
    """Microseconds of CPU for a row; with `windows`, each is read as a whole, as `--stream` does of forecasts."""
    stream, values = WindowStream(model) if windows else model.stream(), [[50.0 + k % 17] for k in range(rows)]
    times = []
    for _ in range(ROUNDS):
        start = process_time()
        for value in values:
            stream.step(value)
        times.append((process_time() - start) / rows * 1e6)
    return median(times)


def stream_in_c(model: StandaloneModel, rows: int, *flags: str) -> float | None:
    """Microseconds of CPU for a row; None without a compiler."""
    if shutil.which("cc") is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        model.write(Path(folder) / "net.c")
        (Path(folder) / "main.c").write_text(MAIN % rows)
        subprocess.run(["cc", "-std=gnu99", *flags, "main.c", "-o", "main", "-lm"], cwd=folder, check=True)
        runs = (subprocess.run(["./main"], cwd=folder, check=True, capture_output=True) for _ in range(ROUNDS))
        return median(float(run.stdout) for run in runs) / rows


def long_file(model: StandaloneModel, rows: int, folder: Path) -> dict[str, float]:
    """Seconds of CPU for reading, computing and writing, one after the other; and the peak memory of the command."""
    file, saved, out = folder / f"{rows}.csv", folder / "model.safetensors", folder / "out.csv"
    if not file.exists():
        values = 50 + 20 * np.random.default_rng(0).standard_normal(rows)
        file.write_text("load\n" + "".join(f"{value:.6f}\n" for value in values))
    model.save(saved)
    seconds = dict.fromkeys(("read", "compute", "write"), 0.0)
    parts = time_parts(read_parts(file, model.own_preparation), seconds, "read")
    with out.open("w") as target:
        answers = time_parts(model.predict_parts(parts), seconds, "compute", less="read")
        start = process_time()
        _write(answers, target, as_json=False)
        seconds["write"] = process_time() - start - seconds["read"] - seconds["compute"]
    return {**seconds, "peak": peak(["predict", saved, file, "-o", out])}


def time_parts(parts: Iterator[Table], seconds: dict[str, float], name: str, less: str = "") -> Iterator[Table]:
    """The parts; `seconds[name]` grows by the CPU time that they take, without that of `less`."""
    while True:
        start, before = process_time(), seconds.get(less, 0.0)
        part = next(parts, None)
        seconds[name] += process_time() - start - (seconds.get(less, 0.0) - before)
        if part is None:
            return
        yield part


def peak(words: list[Any]) -> float:
    """MiB that the command takes at most."""
    program = (
        "import resource, sys; from evornn.cli import main\n"
        "try: main()\n"
        "finally: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
    )
    run = subprocess.run([sys.executable, "-c", program, *map(str, words)], capture_output=True, text=True, check=True)
    return int(run.stderr.split()[-1]) / 1024


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    scale = 10 if options.quick else 1
    results: dict[str, Any] = {"streams": {}, "files": {}}
    print(f"one row of a stream, {UNITS} units, original units in and out: µs of CPU, medians of {ROUNDS}")
    for kind in KINDS:
        model = model_of(kind, FORECAST)
        times = {
            "python": stream_in_python(model, 5000 // scale),
            "python, windows of 24": stream_in_python(model, 1000 // scale, windows=True),
            "c -O2": stream_in_c(model, 200_000 // scale, "-O2"),
            "c -O3 -march=native -ffast-math": stream_in_c(
                model, 200_000 // scale, "-O3", "-march=native", "-ffast-math"
            ),
        }
        results["streams"][kind] = times
        print(f"  {kind:14}", ", ".join(f"{n} {t:.2f}" for n, t in times.items() if t is not None))
    with tempfile.TemporaryDirectory() as folder:
        for name, preparation in (("label", LABEL), ("forecast, window 24", FORECAST)):
            for rows in (100_000 // scale, 1_000_000 // scale):
                costs = long_file(model_of("gru", preparation), rows, Path(folder))
                results["files"][f"{name}, {rows}"] = costs
                shares = ", ".join(f"{part} {costs[part]:.2f} s" for part in ("read", "compute", "write"))
                print(f"{name}, {rows:,} rows: {shares} of CPU, peak {costs['peak']:.0f} MiB")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
