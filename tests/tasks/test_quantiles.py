"""Quantiles of numbers: outputs for each level, a loss of their own, and what becomes of them in predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from own_files import gestures, shops
from sklearn.metrics import mean_pinball_loss

import evornn
from evornn.data.reading import read
from evornn.errors import EvornnError
from evornn.models.export import export
from evornn.models.standalone import StandaloneModel
from evornn.networks.network import Network
from evornn.tasks import TASKS
from evornn.tasks.core.task import Data
from evornn.training.make_problem import make_problem

LEVELS = (0.1, 0.5, 0.9)
TASK = {
    "forecast": {"path": "shops.csv", "targets": "sales", "group": "shop", "time": "day", "window": 9, "horizon": 2},
    "regress": {"path": "gestures.csv", "targets": "size", "group": "id", "inputs": ["x", "y"]},
    "label": {"path": "gestures.csv", "targets": ["size", "y"], "group": "id", "inputs": ["x"], "answer": "numbers"},
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shops()
    gestures()


def build(kind: str, **settings: Any) -> Data:
    return TASKS.build({"kind": kind, **TASK[kind], **settings}).data()


def trained(kind: str, **settings: Any) -> tuple[evornn.library.TrainingResult, Data]:
    data = build(kind, quantiles=LEVELS, **settings)
    network = Network("gru", inputs=data.sizes[0], units=4, outputs=data.sizes[1])
    return evornn.train(network, data, {"kind": "adam", "learning_rate": 0.02}, budget=150_000), data


@pytest.mark.parametrize("kind", TASK)
def test_each_level_has_the_outputs_of_the_targets(kind: str) -> None:
    data, plain = build(kind, quantiles=LEVELS), build(kind)
    assert data.loss == "quantile(0.1, 0.5, 0.9)" and data.sizes == (plain.sizes[0], 3 * plain.sizes[1])
    for split, single in zip(data.splits, plain.splits, strict=True):
        assert np.array_equal(split.targets, np.tile(single.targets, 3)) and np.array_equal(split.mask, single.mask)
    assert data.labels == tuple(
        label.replace(column, f"{column}_q{level:g}")
        for level in LEVELS
        for column, label in zip(columns_of(kind, plain), plain.labels, strict=True)
    )
    assert [one.name for one in data.baselines] == [one.name for one in plain.baselines]


def columns_of(kind: str, plain: Data) -> list[str]:
    targets = TASK[kind]["targets"]
    names = [targets] if isinstance(targets, str) else list(targets)
    return [name for name in names for _ in range(len(plain.labels) // len(names))]


@pytest.mark.parametrize("kind", TASK)
def test_the_constant_is_judged_by_the_same_loss(kind: str) -> None:
    """The network that answers with the best constant has the loss of the baseline."""
    data = build(kind, quantiles=LEVELS)
    if kind == "forecast":
        data = build(kind, quantiles=LEVELS, difference=False)
    network = Network("elman", inputs=data.sizes[0], units=2, outputs=data.sizes[1])
    genome = np.zeros(network.n, np.float32)
    targets = data.train.targets[data.train.mask].astype(np.float64)
    quantiles = np.repeat(LEVELS, targets.shape[1] // 3)
    constant = np.array([np.quantile(targets[:, k], q) for k, q in enumerate(quantiles)])
    genome[network.layout.blocks["readout.bias"].slice] = constant
    (floor,) = [one for one in data.baselines if one.name == "mean"]
    losses = [make_problem(network, split, data.loss).losses(genome[None])[0] for split in data.splits[1:]]
    assert losses == pytest.approx([floor.valid, floor.test], rel=0.05 if kind == "forecast" else 1e-4)
    test = data.test.targets[data.test.mask]
    by_hand = np.mean([
        mean_pinball_loss(test[:, k], np.full(len(test), constant[k]), alpha=q) for k, q in enumerate(quantiles)
    ])  # fmt: skip
    assert losses[1] == pytest.approx(by_hand, rel=1e-4)


@pytest.mark.parametrize("kind", TASK)
def test_scores_and_errors_are_those_of_the_median(kind: str) -> None:
    run, data = trained(kind)
    outputs = run.network.predict(run.genome[None], data.test.inputs, mask=data.test.mask)[0]
    middle = np.split(outputs, 3, axis=-1)[1]
    plain = build(kind)
    if data.score is not None:
        assert plain.score is not None
        assert run.result.test_score == pytest.approx(plain.score.compute(middle, plain.test), abs=1e-6)
    if data.chart is not None:
        assert plain.chart is not None
        last = data.test.last_steps(middle)
        (errors,) = plain.chart.errors(plain.chart.inverse_transform(last)).values()
        assert run.result.forecast_errors["sales" if kind == "forecast" else "size"]["rmse"] == errors.rmse


@pytest.mark.parametrize("kind", TASK)
def test_predictions_have_a_column_per_level_that_do_not_cross(kind: str, tmp_path: Path) -> None:
    run, _ = trained(kind)
    run.model.save("model.safetensors")
    model = StandaloneModel.load("model.safetensors")
    table = read(Path(str(TASK[kind]["path"])))
    said = model.predict(table)
    end = "+1" if kind == "forecast" else ""
    target = columns_of(kind, build(kind))[0]
    low, middle, high = (said.column(f"{target}_q{level:g}{end}") for level in LEVELS)
    assert (low.values <= middle.values).all() and (middle.values <= high.values).all()
    assert (low.values < high.values).mean() > 0.9
    measures = model.evaluate(table)
    assert list(measures) == list(dict.fromkeys(columns_of(kind, build(kind))))
    below = [measures[target][f"below_q{level:g}"] for level in LEVELS]
    assert below == sorted(below) and below[0] < 0.4 < 0.6 < below[2], "about as many as the levels say"
    with pytest.raises(EvornnError, match="it answers with classes or quantiles"):
        model.predict(table, coverage=0.9)
    if kind == "forecast":
        assert "sales_q0.9" in model.predict(table, next=2).names
        with pytest.raises(EvornnError, match="quantiles beyond the horizon of 2 don't follow"):
            model.predict(table, next=3)


@pytest.mark.parametrize("suffix", [".json", ".onnx", ".c"])
def test_exports_are_those_before_sorting(suffix: str, tmp_path: Path) -> None:
    run, data = trained("label")
    exported = export(run.network, run.genome, tmp_path / f"model{suffix}", preparation=data.preparation)
    assert exported.difference is None or exported.difference <= 1e-5


@pytest.mark.parametrize("levels", [[0.5, 0.1], [0, 0.5], [1.5]])
def test_levels_are_checked(levels: list[float]) -> None:
    with pytest.raises(EvornnError, match=r"task\.quantiles: must be levels between 0 and 1, in order"):
        TASKS.build({"kind": "forecast", **TASK["forecast"], "quantiles": levels}, "task")


def test_a_loss_of_one_level_is_for_any_numbers_and_one_of_several_for_its_task() -> None:
    data = build("label")
    network = Network("elman", inputs=data.sizes[0], units=2, outputs=data.sizes[1])
    result = evornn.train(network, data, "snes", budget=50_000, loss="quantile(0.9)").result
    assert result.test_loss == make_problem(network, data.test, "quantile(0.9)").losses(result.genome[None])[0]
    with pytest.raises(EvornnError, match=r"loss: quantile\(0\.1, 0\.9\) needs outputs for each level"):
        evornn.train(network, data, "snes", budget=50_000, loss="quantile(0.1, 0.9)")


def test_classes_have_no_quantiles() -> None:
    with pytest.raises(EvornnError, match="quantiles are of numbers, and 'gesture' is asked for as classes"):
        build("label", targets="gesture", answer="class", quantiles=LEVELS)
