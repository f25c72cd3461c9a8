"""Numbers for each sequence of a file: scaling, errors in original units, baselines, what is refused."""

import numpy as np
import pytest
from own_files import write_table

from evornn import Network, train
from evornn.errors import EvornnError
from evornn.tasks import TASKS

RNG = np.random.default_rng(8)
ROWS = [
    (f"s{k}", step, round(float(k % 7 + 0.1 * RNG.normal()), 4), 50 + 10 * (k % 7), k % 2)
    for k in range(30)
    for step in range(3 + k % 4)
]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def spec(rows=ROWS, header="id,step,x,y,z", **settings):
    write_table("data.csv", header, rows)
    return {"kind": "regress", "path": "data.csv", "targets": "y", "group": "id", "inputs": "x", **settings}


def build(rows=ROWS, **settings):
    return TASKS.build(spec(rows, **settings)).data()


def test_targets_are_standardised_by_training_sequences():
    data = build()
    targets = data.train.last_steps(data.train.targets)
    assert targets.mean() == pytest.approx(0, abs=1e-6) and targets.std() == pytest.approx(1, rel=1e-6)
    (answer,) = data.preparation.answers
    numbers = data.test.last_steps(data.test.targets)[:, 0] * answer.std + answer.mean
    expected = {name: 50 + 10 * (int(name[1:]) % 7) for name in data.chart.times}
    np.testing.assert_allclose(numbers, list(expected.values()), rtol=1e-5)
    np.testing.assert_allclose(data.chart.truth[:, 0], list(expected.values()), rtol=1e-5)


@pytest.mark.parametrize("settings", [{}, {"target_transform": "log1p"}, {"loss_steps": "every"}])
def test_scores_and_errors_agree_in_original_units(settings):
    for name, field in (("r2", "r2"), ("rmse", "rmse"), ("mae", "mae")):
        data = build(score=name, **settings)
        mean, line = data.baselines
        assert line.test < 0.1 < mean.test
        for baseline in data.baselines:
            level = {"none": lambda x: x, "log1p": np.log1p}[data.chart.transform](baseline.predictions)
            scaled = ((level - data.chart.offset) / data.chart.scale).astype(np.float32)
            outputs = np.repeat(scaled[:, None], data.test.targets.shape[1], axis=1)
            value = data.score.compute(outputs, data.test)
            assert value == pytest.approx(getattr(baseline.errors["y"], field), rel=1e-3, abs=1e-4)
            assert baseline.errors["y"].mase is None


def test_the_forecast_errors_of_a_run_are_those_of_the_last_step_that_counts():
    """Of sequences of unequal length, read forwards and backwards: padding must not show."""
    task = spec(inputs=["x", "z"])
    network = Network("bidirectional", inputs=2, units=2, outputs=1)
    result = train(network, task, {"kind": "adam", "learning_rate": 0.05}, seed=1, budget=60_000)
    assert result.result.forecast_errors["y"]["r2"] == pytest.approx(result.result.test_score, abs=1e-4)
    alone = TASKS.build(task).data()
    genome, test = result.genome, alone.test
    padded = test.last_steps(network.predict(genome[None], test.inputs, mask=test.mask)[0])
    for k, (inputs, mask) in enumerate(zip(test.inputs, test.mask, strict=True)):
        short = inputs[None, : int(mask.argmax()) + 1]
        np.testing.assert_allclose(network.predict(genome[None], short)[0, 0, -1], padded[k], atol=1e-5)


@pytest.mark.parametrize(
    ("rows", "settings", "message"),
    [
        (ROWS, {"targets": "id"}, r"column 'id' holds no numbers: ask for classes, kind: classify"),
        ([*ROWS, ("s0", 9, 1, 7, 0)], {}, r"column 'y': 7, but group 's0' begins with 50: give each group one number"),
        ([*ROWS, ("s0", 9, 1, "", 0)], {}, r"column 'y': what is asked for is missing: fill it in"),
        (ROWS, {"inputs": ["y"]}, r"column 'y' is what is asked for: leave it out of inputs"),
        (ROWS[:6], {}, r"no row is left for (valid|test): the file has 2 sequences: give more, or change the split"),
        (ROWS, {"target_transform": "sqrt", "targets": "x"}, r"column 'x': "),
    ],
)
def test_bad_data_get_one_line_that_says_what_to_do(rows, settings, message):
    settings = {"inputs": "z", **settings} if settings.get("targets") == "x" else settings
    with pytest.raises(EvornnError, match=message) as caught:
        build(rows, **settings)
    assert "\n" not in str(caught.value)


def test_units_are_not_mixed():
    with pytest.raises(EvornnError, match=r"^task\.score: would mix the units of several targets: set it to r2"):
        build(targets=["y", "z"], score="rmse")
