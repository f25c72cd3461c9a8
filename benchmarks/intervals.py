"""How often conformal intervals for 90 % hold the truth on the test split of five series.

python -m benchmarks.intervals [--quick] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import evornn
from evornn.arrays import Streams
from evornn.tasks import TASKS

ROWS = 3000


def made_up(folder: Path) -> dict[str, Path]:
    """Series whose nature doesn't change, and one whose noise grows."""
    rng, steps = Streams(0, "intervals").at(0), np.arange(ROWS)
    noise = rng.standard_normal(ROWS)
    values = np.zeros(ROWS)
    for k in range(2, ROWS):  # a stationary autoregression
        values[k] = 1.6 * values[k - 1] - 0.8 * values[k - 2] + noise[k]
    daily = 50 + 20 * np.sin(steps / 24 * 2 * np.pi)
    series = {
        "autoregression": values,
        "daily cycle": daily + 2 * noise,
        "daily cycle, growing noise": daily + (1 + 3 * steps / ROWS) * noise,
    }
    for name, column in series.items():
        (folder / f"{name}.csv").write_text("load\n" + "".join(f"{value!r}\n" for value in column.tolist()))
    return {name: folder / f"{name}.csv" for name in series}


def main() -> None:
    """Train, and print the share of test values inside of the intervals."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        files = made_up(Path(folder))
        own = {"kind": "csv", "targets": ["load"], "window": 48}
        tasks: dict[str, dict[str, Any]] = {name: {**own, "path": str(file)} for name, file in files.items()}
        tasks |= {"sunspots": {"kind": "sunspots"}, "Mackey-Glass": {"kind": "mackey_glass"}}
        for name, task in tasks.items():
            data = TASKS.build({**task, "horizon": 3}).data()
            network = evornn.Network("gru", inputs=1, units=8, outputs=3)
            run = evornn.train(network, data, "adam", seed=1, budget=20_000 if options.quick else 1_000_000)
            ((_, share),) = run.model.metrics.coverage.items()
            results[name] = share
            print(f"{name:28} {share:.1%} of {len(data.test)} forecasts of 3 steps", flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
