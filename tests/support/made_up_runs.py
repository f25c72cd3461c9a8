"""Made-up runs whose comparison is known, and a comparison as the terminal shows it."""

import io
from collections.abc import Callable

import pandas as pd
from rich.console import Console

from evornn.experiments.analysis.comparison import Comparison
from evornn.experiments.reporting import terminal

FAMILIES = {"adam": "gradient", "cma_es": "evolution", "memetic": "hybrid"}
NASTY = "</script><script>alert('x')</script> & %{y} [red]"
MARKS, BUDGET = 10, 1000

Loss = Callable[[str, str, int], float]


def graded(network: str, trainer: str, seed: int) -> float:
    """Memetic below Adam below CMA-ES for every seed."""
    return {"memetic": 0.1, "adam": 0.2, "cma_es": 0.3}.get(trainer, 0.4) + 0.001 * seed + 0.01 * (network == "lstm")


def make_runs(
    seeds: int,
    networks: tuple[str, ...] = ("elman", "lstm"),
    trainers: tuple[str, ...] = ("adam", "cma_es", "memetic"),
    loss: Loss = graded,
    failed: tuple[int, ...] = (),
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Runs whose validation loss falls evenly from 1 to `loss`; test losses are 0.01 above."""
    runs, curves = [], []
    for k, (network, trainer, seed) in enumerate((n, t, s) for n in networks for t in trainers for s in range(seeds)):
        run, end = k + 1, loss(network, trainer, seed)
        good = run not in failed
        for mark in range(MARKS + 1):
            at = 1 + (end - 1) * mark / MARKS
            spent = BUDGET * mark // MARKS
            curves.append({"run": run, "mark": mark, "network_steps": spent, "champion_valid": at, "seconds": mark / 2})
        runs.append(
            {
                "run": run, "task": "series", "network": network, "trainer": trainer, "seed": seed, "n": 97,
                "state": "succeeded" if good else "failed", "valid_loss": end if good else None,
                "test_loss": end + 0.01 if good else None, "network_steps": BUDGET if good else None,
                "seconds": 5.0 if good else None, "hits": {"0.5": 640 + run} if good else None,
            }
        )  # fmt: skip
    return pd.DataFrame(runs), pd.DataFrame(curves)


def render(found: Comparison) -> str:
    console = Console(file=io.StringIO(), width=100)
    console.print(terminal.render(found))
    return console.file.getvalue()
