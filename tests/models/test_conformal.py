"""Conformal intervals hold what they promise, where validation data and new ones are exchangeable."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from small_models import part, small_model

from evornn.data.table import Column, Table
from evornn.errors import EvornnError
from evornn.models.calibration import calibrate, coverage_on
from evornn.models.conformal import MOST, half_widths, quantiles, space_evenly
from evornn.models.make import architecture_of
from evornn.models.standalone import StandaloneModel
from evornn.models.units import to_answers
from evornn.networks.network import Network
from evornn.tasks.core.task import Sequences
from evornn.tasks.forecast import Forecast


def exchangeable(model: StandaloneModel, count: int, seed: int) -> Sequences:
    """Sequences without memory, whose answers the network misses by independent errors."""
    rng = np.random.default_rng(seed)
    inputs = rng.standard_normal((count, 6, model.inputs)).astype(np.float32)
    outputs = model.network.predict(model.genome[None], inputs)[0]
    mask = np.zeros(inputs.shape[:2], bool)
    mask[:, -1] = True
    return Sequences(inputs, outputs + rng.standard_normal(outputs.shape).astype(np.float32) * 0.3, mask)


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9, 0.95])
@pytest.mark.parametrize("question", ["regress", "forecast"])
def test_intervals_cover_what_they_promise(question: str, coverage: float) -> None:
    model = small_model(question) if question == "regress" else small_model(question, window=6)
    valid, test = 400, 800
    shares, repeats = [], 10
    for seed in range(repeats):
        calibration = calibrate(model, exchangeable(model, valid, 2 * seed))
        sharp = replace(model, calibration=calibration)
        shares.append(np.mean(list(coverage_on(sharp, exchangeable(model, test, 2 * seed + 1), coverage).values())))
    rank = math.ceil((valid + 1) * coverage)  # the share that a calibration covers is distributed as Beta(k, K + 1 − k)
    spread = math.sqrt(stats.beta(rank, valid + 1 - rank).var() + coverage * (1 - coverage) / test)
    assert abs(np.mean(shares) - coverage) < 5 * spread / math.sqrt(repeats)


def test_quantiles_are_the_order_statistics_of_the_papers() -> None:
    errors = np.arange(1.0, 10.0)[:, None, None]  # K = 9
    assert quantiles(errors, 0.9).item() == 9.0  # ⌈10 · 0.9⌉ = 9
    assert quantiles(errors, 0.5).item() == 5.0
    assert quantiles(errors, 0.91).item() == math.inf  # would need a tenth
    partly = np.concatenate([errors, np.full((5, 1, 1), np.nan)])
    assert quantiles(partly, 0.9).item() == 9.0


def test_forecasts_are_calibrated_beyond_the_horizon() -> None:
    """On a series that the network forecasts itself, errors are 0 as far as forecasts are its own."""
    model = small_model("recursive")
    window, steps = 4, 40
    rows = np.linspace(30, 70, window)[None, :, None]
    from evornn.models.predict import continue_forecasts
    from evornn.models.units import to_inputs

    for _ in range(steps):  # one row at a time, each from the last window
        rows = np.concatenate([rows, continue_forecasts(model, rows[:, -window:], 1)], axis=1)
    series = to_inputs(model.own_preparation, rows[0])
    origins = np.arange(window - 1, len(series) - 2)
    inputs = np.stack([series[k - window + 1 : k + 1] for k in origins])
    targets = np.zeros((len(origins), window, 2), np.float32)
    targets[:, -1] = np.stack([series[k + 1 : k + 3, 0] - series[k, 0] for k in origins])
    mask = np.zeros(targets.shape[:2], bool)
    mask[:, -1] = True
    calibration = calibrate(model, Sequences(inputs, targets, mask))
    assert calibration is not None and calibration.shape == (len(origins), 1, 24)
    assert np.isnan(calibration[:, 0, 23]).sum() >= 22  # truth ends
    assert np.nanmax(calibration[:, 0, 0]) < 1e-3


@pytest.mark.parametrize("past", ["changes", "both"])
@pytest.mark.parametrize("transform", ["none", "log1p"])
def test_errors_of_forecasts_from_changes_are_those_of_predict(past: str, transform: str) -> None:
    """To the horizon and beyond it, where each forecast is the last known value of the next."""
    rng = np.random.default_rng(0)
    values = 40 + np.cumsum(rng.normal(0.1, 1.0, 160))
    task = Forecast(path="", targets="y", window=6, horizon=2, past=past, transform=transform)  # type: ignore[arg-type]
    table = Table((Column("y", "number", values),), "made up", np.arange(2, 162))
    data = task.data_of(table)
    inputs, outputs = data.sizes
    network = Network("gru", inputs=inputs, outputs=outputs, units=4)
    genome = network.sample(1, seed=3)[0]
    model = StandaloneModel(architecture_of(network), inputs, outputs, genome, data.preparation)
    calibration = calibrate(model, data.valid)
    if (past, transform) == ("changes", "log1p"):
        assert calibration is None, "levels, of which the errors depend, are not among the inputs"
        return
    origins = range(112 - 1, 136 - 2)  # of the forecasts of the validation part
    errors = np.full((len(origins), 24), np.nan)
    for k, origin in enumerate(origins):
        answers = model.predict(part(table, 0, origin + 1), next=24).column("y").values
        steps = max(2, min(24, origins[-1] + 1 - origin))  # beyond the horizon, as far as later windows know the truth
        errors[k, :steps] = np.abs(answers[:steps] - values[origin + 1 : origin + 1 + steps])
    assert calibration is not None
    assert np.allclose(calibration[:, 0], np.sort(errors, axis=0), rtol=1e-4, atol=1e-4, equal_nan=True)


def test_what_has_no_intervals() -> None:
    model = small_model("classify")
    assert calibrate(model, exchangeable(model, 20, 0)) is None
    hidden = small_model("forecast", features=small_model("forecast").own_preparation.features[1:])
    assert hidden.own_preparation.answers[0].difference and calibrate(replace(hidden, inputs=3), _none()) is None
    with pytest.raises(EvornnError, match="must be between 0 and 1, got 90"):
        half_widths(small_model("regress"), 90)


def _none() -> Sequences:
    return Sequences(np.zeros((2, 5, 3), np.float32), np.zeros((2, 5, 6), np.float32), np.ones((2, 5), bool))


def test_an_answer_that_is_no_number_is_an_infinite_error() -> None:
    model = small_model("regress")
    split = exchangeable(model, 50, 0)
    broken = replace(model, genome=np.full_like(model.genome, np.nan))
    calibration = calibrate(broken, split)
    assert calibration is not None and np.isinf(calibration).all()


def test_padding_is_not_read_by_a_network_that_reads_the_future() -> None:
    """Its answer on a short sequence among longer ones is that on the sequence alone."""
    model = small_model("regress", "bidirectional")
    longer, mask = exchangeable(model, 40, 0), np.zeros((40, 6), bool)
    mask[np.arange(40), np.arange(40) % 4 + 2] = True
    alone = [
        model.network.predict(model.genome[None], one[None, : k % 4 + 3])[0, 0, -1]
        for k, one in enumerate(longer.inputs)
    ]
    targets = np.zeros_like(longer.targets)
    targets[mask] = alone
    calibration = calibrate(model, Sequences(longer.inputs, targets, mask))
    assert calibration is not None and np.nanmax(calibration) < 1e-4


def test_at_most_so_many_errors_are_kept() -> None:
    assert len(space_evenly(10 * MOST)) == MOST and space_evenly(3).tolist() == [0, 1, 2]
    assert space_evenly(10 * MOST)[[0, -1]].tolist() == [0, 10 * MOST - 1]
    model = small_model("regress")
    calibration = calibrate(model, exchangeable(model, 3 * MOST, 0))
    assert calibration is not None and len(calibration) == MOST


def test_errors_are_in_original_units() -> None:
    model = small_model("regress")
    split = exchangeable(model, 9, 0)
    rows = np.zeros((9, 3))
    outputs = model.network.predict(model.genome[None], split.inputs)[0, :, -1]
    errors = np.abs(
        to_answers(model.own_preparation, outputs, rows) - to_answers(model.own_preparation, split.targets[:, -1], rows)
    )
    calibration = calibrate(model, split)
    assert calibration is not None and np.allclose(calibration[:, 0, 0], np.sort(errors[:, 0]))
