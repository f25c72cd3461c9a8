"""Tasks: one contract for all of them, then what each promises."""

import datetime
import json
from hashlib import blake2b

import numpy as np
import own_files
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_specs import small_spec
from task_specs import CASES, CONTROL, FORECASTS, GENERATED, task_class

from evornn import settings
from evornn.data import scaling
from evornn.errors import EvornnError
from evornn.kernels import losses
from evornn.tasks import TASKS
from evornn.tasks.core import chance
from evornn.tasks.core.generated import Example, pad_sequences
from evornn.tasks.core.series import Forecasting, ForecastSettings, TimeSeries, make_forecast_data
from evornn.tasks.core.task import Sequences

SPLITS = ("train", "valid", "test")


@pytest.fixture(autouse=True)
def two_columns(tmp_path, monkeypatch):
    """two.csv: 90 days of positive numbers; and the files of own_files."""
    monkeypatch.chdir(tmp_path)
    own_files.write_all()
    values = np.random.default_rng(5).gamma(2.0, size=(90, 2))
    days = [datetime.date(2001, 1, 1) + datetime.timedelta(days=day) for day in range(90)]
    rows = [f"{day},{flow:.4f},{rain:.4f}" for day, (flow, rain) in zip(days, values, strict=True)]
    (tmp_path / "two.csv").write_text("\n".join(["day,flow,rain", *rows]))


def arrays(data):
    return [array for name in SPLITS for s in [getattr(data, name)] for array in (s.inputs, s.targets, s.mask)]


def loss(data, split, outputs):
    """The task's loss of outputs [B, T, O], as the kernels compute it."""
    tensors = (torch.tensor(outputs)[None], torch.tensor(split.targets), torch.tensor(split.mask))
    return losses.total(data.loss, *tensors).item() / split.mask.sum()


def judged(data):
    """Validation and test split, each with the loss of the baseline that is chance."""
    mean = next(baseline for baseline in data.baselines if baseline.name == "mean")
    return (data.valid, mean.valid), (data.test, mean.test)


def oracle(data, split):
    """Outputs [B, T, O] of one who knows the answers: they are logits, but for the loss mse."""
    return {"mse": split.targets, "cross_entropy": 200 * split.targets}.get(data.loss, 400 * split.targets - 200)


def guessed(data, split):
    """Outputs [B, T, O] of one who does not look."""
    return np.broadcast_to(chance.best_constant(data.loss, data.train).astype(np.float32), split.targets.shape)


def unpadded(split):
    """Each sequence's inputs up to the last step that counts."""
    for inputs, mask in zip(split.inputs, split.mask, strict=True):
        yield inputs[: np.flatnonzero(mask)[-1] + 1]


# The contract of every task.


@pytest.mark.parametrize("kind", TASKS)
def test_its_contract_is_that_of_sequences_or_of_control(kind):
    """That of control is in test_control_contract.py."""
    is_sequences = isinstance(TASKS.build(small_spec(TASKS, kind)).data().train, Sequences)
    assert is_sequences == (kind not in CONTROL), "is_control in tests/support/task_specs.py takes it for the other"


@pytest.mark.parametrize("spec", CASES)
def test_shapes_and_kinds(spec):
    data = TASKS.build(spec).data()
    for split in (data.train, data.valid, data.test):
        (b, t, i), (o,) = split.inputs.shape, split.targets.shape[2:]
        assert split.targets.shape == (b, t, o) and split.mask.shape == (b, t)
        assert (i, o) == (data.train.inputs.shape[2], len(data.labels)) and len(split) == b > 0 and split.steps == b * t
        assert (split.inputs.dtype, split.targets.dtype, split.mask.dtype) == (np.float32, np.float32, np.bool_)
        assert np.isfinite(split.inputs).all() and np.isfinite(split.targets).all()
        assert split.mask.any(axis=1).all() and not split.targets[~split.mask].any()
    assert data.loss in losses.STEP_LOSSES and data.baselines and data.note


@pytest.mark.parametrize("spec", CASES)
def test_the_same_each_time_and_through_its_spec(spec):
    task = TASKS.build(spec)
    again = TASKS.build(json.loads(json.dumps(TASKS.spec_of(task))))
    assert task == again
    one, other = task.data(), again.data()
    assert all(np.array_equal(a, b) for a, b in zip(arrays(one), arrays(other), strict=True))


@pytest.mark.parametrize("spec", CASES)
def test_an_oracle_scores_zero_and_solves_the_task(spec):
    data = TASKS.build(spec).data()
    for split, by_chance in judged(data):
        assert loss(data, split, oracle(data, split)) == 0 < by_chance
        if data.score is not None and spec["kind"] != "reber":  # which wants to know what could have come as well
            score = data.score.compute(oracle(data, split), split)
            assert score == (data.score.best if data.score.threshold is None else 1.0)
            assert data.score.threshold is None or 0 < data.score.threshold <= 1


@pytest.mark.parametrize("spec", GENERATED)
def test_guessing_scores_chance_and_solves_nothing(spec):
    data = TASKS.build(spec).data()
    for split, by_chance in judged(data):
        assert loss(data, split, guessed(data, split)) == pytest.approx(by_chance, rel=1e-5)
        if data.score is not None and data.score.threshold is not None:
            assert data.score.compute(guessed(data, split), split) < data.score.threshold


@pytest.mark.parametrize("loss", chance.LOSSES)
def test_no_constant_is_better_than_the_best(loss):
    rng = np.random.default_rng(0)
    classes = np.eye(3)[rng.integers(0, 3, 60)]
    targets = classes if "cross" in loss else rng.poisson(3.0, (60, 3)) + 0.0
    split = Sequences(np.zeros((60, 1, 1), np.float32), targets[:, None].astype(np.float32), np.ones((60, 1), bool))
    best = chance.best_constant(loss, split)
    losses = [
        chance.LOSSES[loss](best + shift, targets).mean() for shift in (np.zeros(3), *rng.normal(0, 0.5, (50, 3)))
    ]
    assert losses[0] <= min(losses[1:])


@pytest.mark.parametrize("spec", GENERATED)
def test_chance_is_the_best_constant_answer(spec):
    """On training data, that is: losses are convex, so the constant without slope is best. What never occurs there
    counts as half an occurrence, hence the tolerance."""
    data = TASKS.build(spec).data()
    split = data.train
    guess = torch.tensor(chance.best_constant(data.loss, split).astype(np.float32), requires_grad=True)
    outputs = guess.expand(1, *split.targets.shape)
    losses.total(data.loss, outputs, torch.tensor(split.targets), torch.tensor(split.mask)).sum().backward()
    assert guess.grad.abs().max() <= 0.5 * (len(data.labels) if data.loss == "cross_entropy" else 1)


@pytest.mark.parametrize("spec", CASES)
def test_what_is_not_finite_is_not_right(spec):
    data = TASKS.build(spec).data()
    if data.score is not None:
        found = data.score.compute(np.full_like(data.test.targets, np.nan), data.test)
        assert np.isnan(found) if data.score.threshold is None else found == 0


@pytest.mark.parametrize("spec", CASES)
def test_splits_share_no_sequence(spec):
    data = TASKS.build(spec).data()
    seen = {row.tobytes() for name in SPLITS for row in unpadded(getattr(data, name))}
    assert len(seen) == sum(len(getattr(data, name)) for name in SPLITS)


@pytest.mark.parametrize("spec", [case for case in CASES if "data_seed" in settings.names(task_class(case))])
def test_another_data_seed_gives_other_data(spec):
    one, other = (TASKS.build({**spec, "data_seed": seed}).data().train for seed in (1, 2))
    assert one.inputs.shape != other.inputs.shape or not np.array_equal(one.inputs, other.inputs)


@pytest.mark.parametrize("kind", TASKS)
def test_bad_settings_name_their_field(kind):
    good = small_spec(TASKS, kind)
    for field in settings.names(TASKS[kind]):
        with pytest.raises(EvornnError, match=rf"^task\.{field}\b") as caught:
            TASKS.build({**good, field: [{"not": "a value"}]})
        assert "\n" not in str(caught.value)
    with pytest.raises(EvornnError, match="unknown setting of task"):
        TASKS.build({**good, "speed": 3})


def test_tasks_that_predict_what_a_later_step_shows_are_causal():
    """There a network that reads backwards would find the answer in its input."""
    next_step = {"anbn", "arithmetic", "reber", "rare_events", "motion", "narma", "jsb_chorales", "language", *CONTROL}
    forecasts = {kind for kind in TASKS if issubclass(TASKS[kind], ForecastSettings)}
    assert {kind for kind in next_step | forecasts if not TASKS[kind].causal} == set()


@pytest.mark.parametrize("spec", [case for case in CASES if not task_class(case).causal])
def test_where_networks_may_see_the_future_it_does_not_show_the_answer(spec):
    split = TASKS.build(spec).data().train
    assert unexplained_by_next_input(split) > 0.5, f"leave causal True in {spec['kind']}, or answers can be looked up"


@pytest.mark.parametrize("kind", ["reber", "arithmetic", "rare_events", "motion"])
def test_the_next_step_shows_the_answer_where_that_is_the_next_symbol(kind):
    assert unexplained_by_next_input(TASKS.build(small_spec(TASKS, kind)).data().train) < 0.01


def unexplained_by_next_input(split):
    """Share of the targets' variance that a linear model of the next step's input leaves; 1 where there are too few."""
    counted = split.mask[:, :-1]
    targets, later = split.targets[:, :-1][counted], np.insert(split.inputs[:, 1:][counted], 0, 1.0, axis=1)
    if len(targets) < 2 * later.shape[1] or not targets.var(axis=0).any():
        return 1.0
    errors = targets - later @ np.linalg.lstsq(later, targets, rcond=None)[0]
    return errors.var(axis=0).sum() / targets.var(axis=0).sum()


# Forecasting.


@pytest.mark.parametrize("spec", FORECASTS)
def test_charts_give_back_the_series(spec):
    data = TASKS.build(spec).data()
    chart = data.chart
    assert len(chart.times) == len(data.test)
    ends = np.cumsum([count for _, count in chart.series] or [len(data.test)])
    assert ends[-1] == len(data.test)
    for times in np.split(np.array(chart.times), ends[:-1]):
        assert times.tolist() == sorted(times.tolist(), key=lambda t: (len(t), t))
    np.testing.assert_allclose(chart.inverse_transform(data.test.targets[:, -1]), chart.truth, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("spec", FORECASTS)
def test_baselines_are_judged_as_networks_are(spec):
    data = TASKS.build(spec).data()
    for baseline in data.baselines:
        level = scaling.forward(data.chart.transform, baseline.predictions)
        outputs = ((level - data.chart.offset) / data.chart.scale).astype(np.float32)
        judged = loss(data, data.test, np.repeat(outputs[:, None], data.test.inputs.shape[1], axis=1))
        # A forecast below zero has no root: the chart shows zero, the loss counts the forecast.
        inside = data.chart.transform != "sqrt" or baseline.predictions.min() > 0
        assert judged == pytest.approx(baseline.test, rel=1e-3, abs=1e-9) if inside else judged <= baseline.test * 1.001


@pytest.mark.parametrize("spec", [case for case in FORECASTS if case.values[0].get("difference", True)])
def test_persistence_is_the_answer_zero_where_changes_are_predicted(spec):
    data = TASKS.build(spec).data()
    persistence = data.baselines[0]
    assert persistence.name == "persistence"
    for split, judged in ((data.valid, persistence.valid), (data.test, persistence.test)):
        assert loss(data, split, np.zeros_like(split.targets)) == pytest.approx(judged, rel=1e-5)


class Given(Forecasting):
    """A series given as an array [N, G]; all columns are read and predicted."""

    def series(self, values, season=None):
        values = np.asarray(values, np.float64).reshape(len(values), -1)
        names = tuple(f"c{i}" for i in range(values.shape[1]))
        return make_forecast_data(
            TimeSeries(values, names, names, names, [str(i) for i in range(len(values))], season=season), self
        )

    def time_series(self):
        raise NotImplementedError


@st.composite
def cuts(draw):
    """Settings, and a number of rows with room for them."""
    window, horizon = draw(st.integers(1, 9)), draw(st.integers(1, 5))
    how = {"window": window, "horizon": horizon, "washout": draw(st.none() | st.integers(0, window - 1))}
    how["stride"] = draw(st.none() | st.integers(1, 12))
    how["difference"] = draw(st.booleans())
    return Given(split=(0.5, 0.25, 0.25), **how), draw(st.integers(4 * (window + horizon), 80))


@given(cuts())
def test_windows_of_a_series_that_counts_its_rows(case):
    """The value of row r is r, so that inputs and targets say where they are from."""
    how, rows = case
    data = how.series(np.arange(rows))
    std, mean = np.arange(round(rows / 2)).std(), np.arange(round(rows / 2)).mean()
    ends = {"train": (0, round(rows * 0.5)), "valid": (round(rows * 0.5), round(rows * 0.75))}
    for name, (begin, end) in (ends | {"test": (round(rows * 0.75), rows)}).items():
        split = getattr(data, name)
        inputs = np.round(split.inputs[..., 0] * std + mean)
        base = inputs[..., None] if how.difference else mean
        targets = np.round(split.targets * std + base)[split.mask]  # [counted, horizon]
        np.testing.assert_array_equal(targets, inputs[split.mask][:, None] + np.arange(1, how.horizon + 1))
        assert targets.min() >= begin and targets.max() == end - 1
        assert split.inputs.shape[1] == how.window and (np.diff(inputs, axis=1) == 1).all()
        washout = how.window // 2 if how.washout is None else how.washout
        first = washout if name == "train" else how.window - 1
        assert (split.mask == (np.arange(how.window) >= first)).all()
        if name != "train":  # every forecast of the part, one each
            assert targets[:, 0].tolist() == list(range(begin, end - how.horizon + 1))
        elif how.stride is None:  # no row between the windows is left out
            assert set(targets.ravel()) == set(range(int(targets.min()), end))


@given(st.integers(0, 2**32 - 1), st.booleans())
def test_later_rows_do_not_show_in_earlier_splits(seed, difference):
    how = Given(window=4, horizon=2, split=(0.5, 0.25, 0.25), difference=difference, transform="log1p")
    values = np.random.default_rng(seed).gamma(2.0, size=(60, 2))
    changed = np.vstack([values[:45], 100 + values[45:]])
    one, other = how.series(values), how.series(changed)
    for name in ("train", "valid"):
        for part in ("inputs", "targets"):
            np.testing.assert_array_equal(getattr(getattr(one, name), part), getattr(getattr(other, name), part))
    assert [b.valid for b in one.baselines] == [b.valid for b in other.baselines]
    assert not np.array_equal(one.test.inputs, other.test.inputs)
    third = how.series(np.vstack([values[:30], 100 + values[30:]]))
    np.testing.assert_array_equal(one.train.targets, third.train.targets)
    np.testing.assert_array_equal(one.chart.scale, third.chart.scale)


def test_autoregression_solves_a_linear_series_and_uses_only_its_window():
    """A sum of two sines is exactly linear in its last four values, and in no fewer."""
    t = np.arange(400)
    wave = np.sin(0.3 * t) + np.sin(1.1 * t)
    fits = {window: Given(window=window, horizon=3).series(wave).baselines[-1] for window in (2, 4)}
    assert fits[4].name == "autoregression"
    assert fits[4].test < 1e-6 < 0.01 < fits[2].test


def test_autoregression_reads_all_inputs():
    rng = np.random.default_rng(1)
    cause = rng.normal(size=500)
    effect = np.concatenate([[0.0], cause[:-1]])  # what was read one row earlier
    data = Given(window=3, difference=False).series(np.column_stack([effect, cause]))
    assert data.baselines[-1].predictions[:, 0] == pytest.approx(data.chart.truth[:, 0], abs=0.01)


@pytest.mark.parametrize("horizon", [1, 5, 9])
def test_seasonal_baseline_repeats_the_last_known_season(horizon):
    pattern = np.tile([3.0, 1.0, 4.0, 1.5], 40)
    seasonal = Given(window=6, horizon=horizon).series(pattern, season=4).baselines[2]
    assert seasonal.name == "seasonal" and seasonal.valid == seasonal.test == 0
    off = Given(window=6, horizon=horizon, season=3).series(pattern, season=4).baselines[2]
    assert off.test > 0.1


def test_a_season_longer_than_what_is_known_gives_no_seasonal_baseline():
    names = [b.name for b in Given(window=4, season=70).series(np.sin(np.arange(80))).baselines]
    assert names == ["persistence", "mean", "autoregression"]


def test_a_constant_series_is_no_trouble():
    data = Given(window=4).series(np.full(60, 7.0))
    assert all(np.isfinite(array).all() for array in arrays(data)) and (data.chart.truth == 7).all()


@given(st.sampled_from(["none", "sqrt", "log1p"]), st.lists(st.floats(0, 1e6), min_size=1, max_size=9))
def test_transforms_have_inverses(transform, values):
    there = scaling.forward(transform, np.array(values))
    np.testing.assert_allclose(scaling.inverse(transform, there), values, rtol=1e-9, atol=1e-9)


def test_a_negative_root_is_drawn_as_zero():
    assert scaling.inverse("sqrt", np.array([-3.0, -0.1, 2.0])).tolist() == [0, 0, 4]


# Each task.


def test_sunspots_are_to_the_bit_what_statsmodels_has():
    values = TASKS.build({"kind": "sunspots"}).time_series().values
    assert (values.shape, blake2b(values.tobytes(), digest_size=8).hexdigest()) == ((3120, 1), "9fa89380e36b8db0")


def test_sunspots_are_the_monthly_ones():
    data = TASKS.build({"kind": "sunspots", "horizon": 2}).data()
    chart = data.chart
    assert (chart.times[0], chart.times[-1], len(chart.times)) == ("1970-01-01", "2008-11-01", 12 * 39 - 1)
    assert chart.truth[0].tolist() == pytest.approx([111.5, 127.8]) and chart.truth[-1].tolist() == pytest.approx(
        [4.1, 0.8]
    )
    assert (chart.history[0], len(chart.history)) == (58.0, 12 * (1970 - 1749))
    assert "National Geophysical Data Center, public domain" in data.note and "1931-01-01" in data.note
    assert [b.name for b in data.baselines] == ["persistence", "mean", "seasonal", "autoregression"]
    assert 3000 <= data.train.steps <= 8000
    expected = np.concatenate([chart.history[-1:], chart.truth[:-1, 0]])
    np.testing.assert_allclose(data.baselines[0].predictions[:, 0], expected, rtol=1e-4, atol=1e-4)


def test_adding_is_as_in_the_paper():
    task = TASKS.build({"kind": "adding", "length": 100, "train": 3000, "valid": 10, "test": 10})
    split = task.data().train
    numbers, markers = split.inputs[..., 0], split.inputs[..., 1]
    last = split.mask.argmax(axis=1)
    assert split.mask.sum() == 3000 and set(last + 1) == set(range(100, 111))
    assert numbers.min() < -0.99 and numbers.max() > 0.99
    assert (markers[:, 0] == -1).all() and (markers[np.arange(3000), last] == -1).all()
    assert not split.inputs[np.arange(110) > last[:, None]].any()  # padding
    marked = markers == 1
    rare = numbers[:, 0] == 0
    assert (marked.sum(axis=1) == 2 - rare).all() and 0 < rare.mean() < 0.2
    assert marked[:, :10].any(axis=1)[~rare].all() and not marked[:, 49:].any()
    answers = 0.5 + (numbers * marked).sum(axis=1) / 4
    np.testing.assert_allclose(split.targets[np.arange(3000), last, 0], answers, rtol=1e-5)


def test_adding_depends_on_its_seed_and_the_mean_scores_the_variance():
    specs = [{"kind": "adding", "length": 20, "data_seed": seed, "test": 20000} for seed in (1, 2)]
    one, other = (TASKS.build(spec).data() for spec in specs)
    assert not np.array_equal(one.train.inputs, other.train.inputs)
    # Var(X) = 1/3 each; one in 10 + one in 9, less both at once, of the sequences have only one number that counts.
    assert one.baselines[0].test == pytest.approx((1 - 0.5 * (0.1 + 0.9 / 8)) * 2 / 3 / 16, rel=0.05)


CSV = {"kind": "csv", "path": "data.csv", "targets": ["y"], "window": 4}
GOOD = "t,y,z\n" + "".join(f"2000-01-{day:02},{day % 5},{day}\n" for day in range(1, 31))
HOURS = "t,y\n" + "".join(f"2000-01-01T{hour:02}:00,{hour}\n" for hour in range(24))


def given_file(text):
    with open("data.csv", "w", encoding="utf-8", newline="") as file:
        file.write(text)


@pytest.mark.parametrize(
    ("text", "settings", "message"),
    [
        (GOOD, {"path": "dada.csv"}, r"dada\.csv: no such file in .*: check the path"),
        (GOOD, {"path": "."}, r"can't be read as CSV .*: save it as CSV in UTF-8"),
        ("", {}, r"data\.csv: empty file"),
        ("t,y\n", {}, r"no rows below the header"),
        (GOOD, {"targets": ["Y "]}, r"no column 'Y ': did you mean 'y'"),
        (GOOD, {"targets": ["y"], "inputs": ["flow"]}, r"no column 'flow': known are t, y, z"),
        (GOOD, {"date": "time"}, r"no column 'time'"),
        (GOOD.replace(",z", ",y"), {}, r"2 columns are called 'y': rename"),
        (GOOD.replace("2000-01-07,2", "2000-01-07,two"), {}, r"line 8, column 'y': 'two' is not a finite number"),
        (GOOD.replace("2000-01-07,2", "2000-01-07,NaN"), {}, r"line 8, column 'y': 'NaN' is not a finite number"),
        (GOOD.replace("2000-01-07,2", "2000-01-07,"), {}, r"line 8, column 'y': '' is not a finite number"),
        (GOOD.replace("2000-01-07,2", "2000-01-07,inf"), {}, r"line 8, column 'y': 'inf' is not a finite number"),
        (GOOD.replace("2000-01-07,2,7", "2000-01-07,2"), {}, r"line 8: 2 cells under 3 column names"),
        (GOOD.replace("2000-01-07", "7 Jan"), {"date": "t"}, r"line 8, column 't': '7 Jan' is not an ISO date"),
        (GOOD.replace("2000-01-07", "2000-01-05"), {"date": "t"}, r"line 8, .* is not after the row before: sort"),
        (GOOD, {"window": 40}, r"30 rows, shorter than window 40 \+ horizon 1: lower the window"),
        (GOOD, {"window": 25}, r"split: leaves 21 rows for train, which needs at least 26"),
        (GOOD, {"horizon": 5}, r"split: leaves 4 rows for test, which needs at least 5"),
        (GOOD, {"split": [0.8, 0.01, 0.19]}, r"split: leaves 0 rows for valid, which needs at least 1"),
        (GOOD, {"horizon": 3, "split": [0.6, 0.35, 0.05]}, r"split: leaves 2 rows for test, which needs at least 3"),
        (GOOD, {"split": ["2000-01-10", "2000-01-20"]}, r"split: .*set date"),
        (GOOD, {"split": ["2000-01-10", "2001-01-20"], "date": "t"}, r"leaves 0 rows for test"),
        (GOOD.replace("2000-01-07,2", "2000-01-07,-2"), {"transform": "sqrt"}, r"row 7: -2 has no sqrt: set transform"),
    ],
)
def test_bad_data_get_one_line_that_says_what_to_do(text, settings, message):
    given_file(text)
    with pytest.raises(EvornnError, match=message) as caught:
        TASKS.build({**CSV, **settings}).data()
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_text():
    with open("data.csv", "wb") as file:
        file.write(b"t,y\n\xff\xfe,1\n")
    with pytest.raises(EvornnError, match="save it as CSV in UTF-8"):
        TASKS.build(CSV).data()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"targets": []}, r"^task\.targets: name at least one column"),
        ({"targets": ["y", "y"]}, r"^task\.targets: name each column once"),
        ({"window": 0}, r"^task\.window: must be at least 1"),
        ({"horizon": 0}, r"^task\.horizon: "),
        ({"washout": 4}, r"^task\.washout: .*set it below window"),
        ({"split": [0.7, 0.1, 0.1]}, r"^task\.split: must be three fractions that sum to 1"),
        ({"split": [0.9, 0.2, -0.1]}, r"^task\.split: must be three fractions"),
        ({"split": 0.7}, r"^task\.split: must be three fractions"),
        ({"split": ["2000-01-20", "2000-01-10"]}, r"^task\.split: .*put the earlier one first"),
        ({"split": ["2000-01-20", "soon"]}, r"^task\.split: .*soon"),
        ({"transform": "cube"}, r"^task\.transform: .*'none', 'sqrt' or 'log1p'"),
        ({"horizn": 2}, r"did you mean 'horizon'"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(EvornnError, match=message) as caught:
        TASKS.build({**CSV, **settings})
    assert "\n" not in str(caught.value)


def test_csv_splits_by_dates_even_when_yaml_made_dates_of_them():
    given_file(GOOD + "\n\n")
    split = [datetime.date(2000, 1, 11), datetime.date(2000, 1, 21)]
    data = TASKS.build({**CSV, "date": "t", "split": split}).data()
    assert (data.chart.times[0], data.chart.times[-1], len(data.valid)) == ("2000-01-21", "2000-01-30", 10)
    assert data.labels == ("y, 1 day ahead",)
    assert "seasonal" in [baseline.name for baseline in data.baselines]


def test_csv_reads_hours_and_byte_order_marks_and_spaces():
    given_file("\ufeff" + HOURS.replace(",", ", "))
    data = TASKS.build({**CSV, "date": "t", "horizon": 2}).data()
    assert data.chart.times[0] == "2000-01-01T20:00:00"
    assert data.labels == ("y, 1 hour ahead", "y, 2 hours ahead")


@pytest.mark.parametrize(
    ("step", "days", "names"),
    [
        ("month", [31, 29, 31, 30], True),
        ("quarter", [91, 91, 92, 92], True),
        ("week", [7], True),
        ("year", [365], False),
    ],
)
def test_csv_knows_the_calendar(step, days, names):
    lines, day = ["t,y"], datetime.date(2000, 1, 1)
    for row in range(120):
        lines.append(f"{day},{row % 5}")
        day += datetime.timedelta(days=days[row % len(days)])
    given_file("\n".join(lines))
    data = TASKS.build({**CSV, "date": "t"}).data()
    assert data.labels == (f"y, 1 {step} ahead",)
    assert ("seasonal" in [baseline.name for baseline in data.baselines]) == names


def test_csv_inputs_need_not_be_targets():
    given_file(GOOD)
    data = TASKS.build({**CSV, "inputs": ["z"], "difference": False}).data()
    assert data.train.inputs.shape[2] == data.train.targets.shape[2] == 1
    rows = data.chart.truth[:, 0]
    assert rows.tolist() == [day % 5 for day in range(27, 31)]


@given(st.lists(st.lists(st.text(max_size=6), max_size=4), max_size=12), st.sampled_from(["\n", "\r\n"]))
def test_no_file_ends_in_anything_but_data_or_a_clear_error(rows, ending):
    given_file(ending.join(["y,z", *(",".join(row) for row in rows)]))
    try:
        assert len(TASKS.build({**CSV, "window": 1}).data().test)
    except EvornnError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("example", [
    Example(np.zeros((4, 1), np.float32), np.zeros(1, np.float32), 1),
    Example(np.zeros((4, 1), np.float32), np.zeros((1, 1), np.float32), 1),
    Example(np.zeros((4, 1), np.float32), np.zeros((4, 1), np.float32), 5),
    Example(np.zeros(4, np.float32), np.zeros((4, 1), np.float32), 1),
])  # fmt: skip
def test_an_example_whose_arrays_do_not_fit_together_is_refused(example: Example) -> None:
    with pytest.raises(EvornnError, match=r"^an Example wants inputs \[T, I\], targets \[T, O\] and 1 to T loss_steps"):
        pad_sequences([example])
