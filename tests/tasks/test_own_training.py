"""Each question on one's own data, learned by gradient and by evolution: better than all of its baselines."""

from pathlib import Path

import numpy as np
import pytest
from own_files import write_table

from evornn import Network, train
from evornn.tasks import TASKS

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def classify():
    """Up and then down, or down and then up: the mean says nothing."""
    rng, rows = np.random.default_rng(6), []
    for group in range(120):
        steps, sign = int(rng.integers(10, 16)), 1 - 2 * (group % 2)
        wave = sign * np.sin(2 * np.pi * np.arange(steps) / steps) + 0.3 * rng.normal(size=steps)
        rows += [(group, step, round(x, 4), ("up", "down")[group % 2]) for step, x in enumerate(wave)]
    write_table("data.csv", "id,step,x,kind", rows)
    return {"kind": "classify", "path": "data.csv", "target": "kind", "group": "id", "inputs": "x"}


def forecast():
    """A chaotic parabola at three levels: no line predicts it."""
    rows = []
    for number, shop in enumerate("abc"):
        x = 0.3 + 0.1 * number
        for step in range(120):
            x = 3.7 * x * (1 - x)
            rows.append((shop, step, round(10 * (number + 1) + 5 * x, 4)))
    write_table("data.csv", "shop,step,y", rows)
    spec = {"kind": "forecast", "path": "data.csv", "targets": "y", "group": "shop", "time": "step", "window": 6}
    return {**spec, "scale": "group", "difference": False}


def regress():
    """The size of steps whose signs are random: the mean says nothing."""
    rng, rows = np.random.default_rng(6), []
    for group in range(120):
        size = round(float(rng.uniform(1, 3)), 3)
        for _ in range(int(rng.integers(5, 9))):
            rows.append((group, round(size * rng.choice([-1, 1]), 4), size))
    write_table("data.csv", "id,x,size", rows)
    return {"kind": "regress", "path": "data.csv", "targets": "size", "group": "id"}


def label():
    """Whether the sign has changed: the step alone says nothing."""
    rng, rows = np.random.default_rng(6), []
    for group in range(40):
        x = rng.choice([-1, 1], 21) * rng.uniform(0.5, 1.5, 21)
        rows += [(group, round(x[k], 4), ("same", "other")[int(x[k] * x[k - 1] < 0)]) for k in range(1, 21)]
    write_table("data.csv", "id,x,sign", rows)
    return {"kind": "label", "path": "data.csv", "targets": "sign", "group": "id", "washout": 1}


def language():
    """Words that end as they begin, further back than the n-grams see."""
    letters = np.random.default_rng(6).choice(list("xy"), 800)
    Path("text.txt").write_text("".join(f"{letter}---{letter}" for letter in letters))
    return {"kind": "language", "path": "text.txt", "length": 40, "washout": 5}


BUDGETS = {classify: 3_000_000, forecast: 3_000_000, regress: 1_500_000, label: 3_000_000, language: 30_000_000}


@pytest.mark.parametrize("trainer", [{"kind": "adam", "learning_rate": 0.02}, {"kind": "cma_es", "population": 32}])
@pytest.mark.parametrize("ask", BUDGETS, ids=lambda ask: ask.__name__)
def test_it_learns_more_than_its_baselines(ask, trainer):
    task = ask()
    data = TASKS.build(task).data()
    network = Network("elman", inputs=data.sizes[0], units=5, outputs=data.sizes[1])
    result = train(network, task, trainer, seed=3, budget=BUDGETS[ask]).result
    floors = {baseline.name: baseline.test for baseline in data.baselines}
    assert result.test_loss < 0.9 * min(floors.values())
    assert result.forecast_errors is None or all(errors["r2"] > 0.3 for errors in result.forecast_errors.values())
