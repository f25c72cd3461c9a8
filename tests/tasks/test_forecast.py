"""Forecasts of one or many series of a file: what a network sees, where windows lie, what is refused."""

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from own_files import shops, write_table

from evornn.data.preparation import Preparation
from evornn.errors import EvornnError
from evornn.tasks import TASKS
from evornn.tasks.core.identity import data_digest


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def build(rows, header="shop,t,y,x", path="data.csv", **settings):
    write_table(path, header, rows)
    defaults = {"kind": "forecast", "path": str(path), "targets": "y", "group": "shop", "time": "t", "window": 3}
    return TASKS.build({**defaults, **settings}).data()


def days(count):
    return [date(2024, 1, 1) + timedelta(days=day) for day in range(count)]


def of_shops(**settings):
    shops()
    shop = {"kind": "forecast", "path": "shops.csv", "targets": "sales", "group": "shop", "time": "day", "window": 9}
    return TASKS.build({**shop, **settings}).data()


def test_a_forecast_of_one_series_is_that_of_the_task_csv():
    rows = [(day, np.sin(k) + 2, k % 5) for k, day in enumerate(days(90))]
    write_table("one.csv", "day,y,x", rows)
    shared = {"path": "one.csv", "targets": "y", "window": 8, "horizon": 2, "transform": "log1p"}
    csv = TASKS.build({"kind": "csv", **shared, "date": "day", "inputs": ["y", "x"]}).data()
    own = TASKS.build({"kind": "forecast", **shared, "time": "day", "covariates": "x", "past": "levels"}).data()
    for one, other in zip(csv.splits, own.splits, strict=True):
        assert np.array_equal(one.inputs, other.inputs) and np.array_equal(one.mask, other.mask)
        np.testing.assert_allclose(one.targets * csv.chart.scale[0], other.targets * own.chart.scale[0], atol=1e-6)
    assert csv.labels == own.labels and csv.chart.times == own.chart.times
    for one, other in zip(csv.baselines, own.baselines, strict=True):
        unit = (csv.chart.scale[0] / own.chart.scale[0]) ** 2
        assert (one.name, one.test * unit) == (other.name, pytest.approx(other.test))


@pytest.mark.parametrize("scale", ["column", "group"])
def test_the_unit_of_forecast_changes_is_the_size_of_changes(scale):
    """Beside the levels of a trend they would be too small to learn."""
    rows = [(s, t, size * (t + np.sin(t)), 0) for s, size in (("a", 1.0), ("b", 50.0)) for t in range(200)]
    data = build(rows, horizon=2, scale=scale)
    counted = data.train.targets[data.train.mask]
    assert 0.7 < np.sqrt(np.square(counted).mean()) < 1.4
    (answer,) = data.preparation.answers
    sizes = [std for _, _, std in answer.scales]
    assert sizes == [] if scale == "column" else 45 < sizes[1] / sizes[0] < 55
    level = build(rows, horizon=2, scale=scale, difference=False).preparation.answers[0]
    assert level.std > 20 * answer.std


def test_changes_are_read_beside_levels_or_instead_of_them():
    rows = [(s, t, size * (t % 5) ** 2, "ab"[t % 2]) for s, size in (("a", 1.0), ("b", 9.0)) for t in range(60)]
    both = build(rows, covariates="x", window=4)
    names = [(one.column, one.derived) for one in both.preparation.features]
    assert names == [("y", ""), ("y", "change"), ("x", "")]
    level, change, _ = both.preparation.features
    y, dy = (both.test.inputs[..., k] * one.std + one.mean for k, one in enumerate((level, change)))
    np.testing.assert_allclose(np.diff(y, axis=1), dy[:, 1:], atol=1e-3)
    assert "reads 4 rows of y, changes of y, x (2 categories)" in both.note
    only = build(rows, covariates="x", window=4, past="changes")
    assert np.array_equal(only.test.inputs, both.test.inputs[..., 1:])
    assert np.array_equal(only.test.targets, both.test.targets)
    assert (both.test.inputs[:, 0, 1] == 0).all(), "a window doesn't know the row before it"
    assert Preparation.from_dict(both.preparation.to_dict()) == both.preparation


@pytest.mark.parametrize("scale", ["column", "group"])
def test_changes_are_scaled_by_training_rows_within_each_series(scale):
    """No change leads from one series to another, and the first row of each, of which nothing is known, is the mean."""
    rows = [(s, t, size * t**1.5, 0) for s, size in (("a", 1.0), ("b", -50.0)) for t in range(60)]
    data = build(rows, past="changes", scale=scale, split=[0.5, 0.25, 0.25], window=29, washout=0)
    (feature,) = data.preparation.features
    training = [size * np.diff(np.arange(30.0) ** 1.5) for size in (1.0, -50.0)]
    known = {name: (mean, std) for name, mean, std in feature.scales}
    for k, name in enumerate("ab"):
        of = training[k] if scale == "group" else np.concatenate(training)
        assert known.get(name, (feature.mean, feature.std)) == pytest.approx((of.mean(), of.std()))
        inputs = data.train.inputs[k, :, 0]
        assert inputs[0] == 0.0
        np.testing.assert_allclose(inputs[1:], ((training[k] - of.mean()) / of.std())[:28], atol=1e-5)


def test_who_reads_only_changes_predicts_changes():
    rows = [("a", t, t % 7, 0) for t in range(60)]
    with pytest.raises(EvornnError, match=r"past: who reads no levels can't predict one: set difference to true"):
        build(rows, past="changes", difference=False)
    with pytest.raises(EvornnError, match="a window of one row has no change: set window to 2 at least"):
        build(rows, past="changes", window=1)
    assert build(rows, past="both", difference=False).train.inputs.shape[2] == 2


def test_changes_that_cannot_be_scaled():
    """A column that is constant in training is read in its own unit; one that leaps is refused."""
    rows = [("a", t, t % 7, t // 50) for t in range(60)]
    data = build(rows, covariates="x", past="changes", split=[0.5, 0.25, 0.25])
    assert set(np.unique(data.train.inputs[..., 1])) == {0.0} and data.preparation.features[1].std == 1.0
    leap = [("a", t, t % 7, 1 + 1e-9 * (t % 2) + 1e9 * (t == 50)) for t in range(60)]
    with pytest.raises(EvornnError, match=r"column 'x'.*(changes too much|too large) to be scaled: replace the value"):
        build(leap, covariates="x", past="changes", split=[0.5, 0.25, 0.25])


@given(
    lengths=st.lists(st.integers(40, 60), min_size=1, max_size=4),
    window=st.integers(1, 6),
    horizon=st.integers(1, 4),
    stride=st.none() | st.integers(1, 5),
    by_group=st.booleans(),
    order=st.randoms(use_true_random=False),
)
def test_no_window_crosses_from_one_series_to_another(
    tmp_path_factory, lengths, window, horizon, stride, by_group, order
):
    """The values say where they are from: 1,000 for each series, and the row. The file's rows are mixed."""
    rows = [(f"s{g}", t, 1000 * g + t, 7) for g, count in enumerate(lengths) for t in range(count)]
    order.shuffle(rows)
    how = {"window": window, "horizon": horizon, "stride": stride, "split": [0.5, 0.25, 0.25]}
    path = tmp_path_factory.mktemp("panel") / "mixed.csv"
    data = build(rows, path=path, **how, scale="group" if by_group else "column", difference=False, past="levels")
    (feature,), (answer,) = data.preparation.features, data.preparation.answers
    assert feature.scales == answer.scales
    begins = dict(zip([row[0] for row in rows], [None] * len(rows), strict=True))
    names = list(begins)  # in the order of the file
    seen = {"train": set(), "valid": [], "test": []}
    for part, split in zip(seen, data.splits, strict=True):
        owners = np.repeat(names, [count for _, count in _counts(data, part, names, lengths, how)])
        for inputs, targets, mask, name in zip(split.inputs, split.targets, split.mask, owners, strict=True):
            mean, std = {n: (m, s) for n, m, s in feature.scales}.get(str(name), (feature.mean, feature.std))
            past, future = np.round(inputs[:, 0] * std + mean), np.round(targets[mask] * std + mean)
            number = int(name[1:])
            assert (past // 1000 == number).all() and (future // 1000 == number).all()
            assert (np.diff(past) == 1).all()
            np.testing.assert_array_equal(future, past[mask][:, None] + np.arange(1, horizon + 1))
            (seen[part].update if part == "train" else seen[part].extend)(future[:, 0].astype(int).tolist())
    for number, count in enumerate(lengths):
        half, last = round(count * 0.5), round(count * 0.75)
        expected = [1000 * number + row for row in range(half, last - horizon + 1)]
        assert [row for row in seen["valid"] if row // 1000 == number] == expected
        expected = [1000 * number + row for row in range(last, count - horizon + 1)]
        assert [row for row in seen["test"] if row // 1000 == number] == expected
        assert max(row % 1000 for row in seen["train"] if row // 1000 == number) == half - horizon


def _counts(data, part, names, lengths, how):
    """Windows of each series, in order."""
    for name in names:
        count = lengths[int(name[1:])]
        half, last, window, horizon = round(count * 0.5), round(count * 0.75), how["window"], how["horizon"]
        stride = how["stride"] or window - window // 2
        sizes = {
            "train": len(range(half - horizon - 1, window - 2, -stride)),
            "valid": last - half - horizon + 1,
            "test": count - last - horizon + 1,
        }
        yield name, sizes[part]


def test_what_is_known_ahead_is_seen_ahead():
    rows = [("a", t, t % 7, 100 + t) for t in range(60)]
    data = build(rows, horizon=2, known_ahead="x", past="levels")
    features = data.preparation.features
    assert [(one.column, one.ahead) for one in features] == [("y", 0), ("x", 0), ("x", 1), ("x", 2)]
    x = np.round(data.test.inputs[..., 1:] * features[1].std + features[1].mean)
    assert (x[..., 1] - x[..., 0] == 1).all() and (x[..., 2] - x[..., 0] == 2).all()
    assert "x up to 2 rows ahead" in data.note


def test_calendar_and_static_columns_are_inputs():
    data = of_shops(calendar=["weekday"], static=["city"], covariates=["temperature"], past="levels")
    columns = [(one.column, one.derived, one.width) for one in data.preparation.features]
    assert columns == [("sales", "", 1), ("temperature", "", 1), ("day", "weekday", 2), ("city", "", 2)]
    weekday = data.test.inputs[0, :, 2:4]
    np.testing.assert_allclose(weekday[:2], weekday[7:9], atol=1e-6)
    np.testing.assert_allclose(np.square(weekday).sum(axis=1), 1, rtol=1e-6)
    assert "reads 9 rows of sales, temperature, weekday of day, city (2 categories)" in data.note
    assert {tuple(row) for row in data.test.inputs[:, -1, 4:]} == {(1, 0), (0, 1)}
    assert Preparation.from_dict(data.preparation.to_dict()) == data.preparation
    assert not data.preparation.is_by_row and of_shops(static="city", past="levels").preparation.is_by_row
    assert not of_shops(scale="group").preparation.is_by_row


@pytest.mark.parametrize(
    ("part", "time", "turn"),
    [
        ("hour", "2024-03-01T06:00", 0.25),
        ("minute", "2024-03-01T06:30", 0.5),
        ("weekday", "2024-03-04", 0),  # a Monday
        ("weekday", "2024-03-06", 2 / 7),
        ("month", "2024-07-01", 0.5),
        ("day", "2024-03-01", 0),
        ("yearday", "2024-01-01", 0),
    ],
)
def test_parts_of_the_calendar(part, time, turn):
    from evornn.data.features import CALENDAR

    assert CALENDAR[part](np.array([time], "datetime64[us]")).item() == pytest.approx(turn)


def test_charts_have_each_series_and_errors_are_over_all():
    data = of_shops(horizon=2, scale="group")
    chart = data.chart
    assert [name for name, _ in chart.series] == ["a", "b", "c"] and chart.scale.shape == chart.truth.shape
    np.testing.assert_allclose(chart.inverse_transform(data.test.targets[:, -1]), chart.truth, rtol=1e-4)
    assert chart.truth[0].mean() < 20 < chart.truth[-1].mean()
    assert data.baselines[0].errors["sales"].mase is not None


def test_later_rows_do_not_show_in_earlier_splits():
    rows = [(s, t, (t * 7 + k) % 11, (t * 3) % 5) for k, s in enumerate("ab") for t in range(60)]
    changed = [(s, t, y + 100 * (t >= 45), x) for s, t, y, x in rows]
    how = {"split": [0.5, 0.25, 0.25], "covariates": "x"}
    one, other = build(rows, **how), build(changed, **how)
    for part in ("train", "valid"):
        assert np.array_equal(getattr(one, part).inputs, getattr(other, part).inputs)
        assert np.array_equal(getattr(one, part).targets, getattr(other, part).targets)
    assert not np.array_equal(one.test.inputs, other.test.inputs)
    assert [b.valid for b in one.baselines] == [b.valid for b in other.baselines]


def test_forecasts_of_missing_values_are_left_out():
    rows = [("a", t, "" if t in (10, 52) else t % 7, t) for t in range(60)]
    whole = [("a", t, t % 7, t) for t in range(60)]
    data, full = build(rows, missing="mask", past="levels"), build(whole, past="levels")
    assert [(one.column, one.derived) for one in data.preparation.features] == [("y", ""), ("y", "missing")]
    assert len(full.test) - len(data.test) == 1
    assert full.train.mask.sum() - data.train.mask.sum() == 1
    assert all(np.isfinite(part).all() for split in data.splits for part in (split.inputs, split.targets))
    assert [b.name for b in data.baselines] == ["persistence", "mean", "autoregression"]
    filled = build(rows, missing="forward_fill", past="levels")
    assert len(filled.test) == len(data.test) and filled.train.mask.sum() == data.train.mask.sum()
    assert np.array_equal(filled.chart.truth, data.chart.truth) and [
        f.derived for f in filled.preparation.features
    ] == [""]
    assert not np.array_equal(filled.train.inputs[..., 0], full.train.inputs[..., 0])


def test_a_split_by_dates_is_that_of_all_series():
    data = of_shops(split=["2024-02-20", "2024-03-01"])
    begins = np.cumsum([0, *(count for _, count in data.chart.series)])[:-1]
    assert {data.chart.times[begin] for begin in begins} == {"2024-03-01"}


@given(
    lengths=st.lists(st.integers(8, 14), min_size=3, max_size=12),
    window=st.integers(1, 6),
    horizon=st.integers(1, 2),
    seed=st.integers(0, 9),
)
def test_by_group_no_series_is_in_two_splits(tmp_path_factory, lengths, window, horizon, seed):
    """The values say where they are from: 1,000 for each series, and the row."""
    rows = [(f"s{g}", t, 1000 * g + t, 7) for g, count in enumerate(lengths) for t in range(count)]
    how = {"window": window, "horizon": horizon, "washout": 0, "stride": 1, "difference": False, "split_seed": seed}
    data = build(rows, path=tmp_path_factory.mktemp("panel") / "by_group.csv", split_by="group", **how)
    (answer,) = data.preparation.answers
    owners = []
    for split in data.splits:
        truth = np.round(split.targets[split.mask] * answer.std + answer.mean).astype(int)
        owners.append(set((truth // 1000).ravel().tolist()))
        for owner in owners[-1]:
            expected = set(range(1 if split is data.train else window, lengths[owner] - horizon + 1))
            assert set(truth[truth[:, 0] // 1000 == owner, 0] % 1000) == expected
    assert sorted(number for part in owners for number in part) == list(range(len(lengths)))
    training = [row[2] for row in rows if int(row[0][1:]) in owners[0]]
    assert answer.mean == pytest.approx(np.mean(training))
    sizes = " / ".join(str(len(part)) for part in owners)
    assert f"{sizes} series for training, validation and test (seed {seed})" in data.note


SERIES = [(s, t, (t * 7) % 11, t % 5) for s in "ab" for t in range(40)]


@pytest.mark.parametrize(
    ("rows", "settings", "message"),
    [
        (SERIES, {"targets": ["z"]}, r"data\.csv: no column 'z'"),
        (SERIES, {"covariates": "z"}, r"data\.csv: no column 'z'"),
        (SERIES, {"covariates": "y"}, r"column 'y' is among targets, whose past is always an input, and in covariates"),
        (SERIES, {"covariates": "x", "known_ahead": "x"}, r"column 'x' is among covariates, and in known_ahead: leave"),
        (SERIES, {"targets": "shop", "group": None}, r"column 'shop' holds no numbers, and can't be forecast"),
        (SERIES, {"static": "x"}, r"line 3, column 'x': varies within series 'a': name it in covariates or"),
        (SERIES, {"calendar": "hour"}, r"calendar needs dates or times: set time"),
        (SERIES, {"split": ["2024-01-01", "2024-02-01"]}, r"split: dates need the date of each row"),
        (SERIES, {"split_by": "group"}, r"data\.csv: 2 series, too few for a split by group: set group, or split_by"),
        (SERIES, {"split_by": "group", "group": None, "time": None}, r"one series, too few for a split by group"),
        ([*SERIES, ("c", 0, 1, 1)], {"split_by": "group"}, r"series 'c': 1 rows, shorter than window 3 \+ horizon 1"),
        (SERIES[:45], {}, r"series 'b': the series has 5 rows|series 'b': split: leaves .*or leave this series out"),
        (SERIES, {"group": None}, r"column 't': is there twice in its group"),
        (SERIES[:20] + SERIES[25:], {}, r"line 22, column 't': 6 after the row before, elsewhere 1: fill in"),
        ([*SERIES[:20], ("a", 20, "", 0), *SERIES[21:]], {}, r"line 22, column 'y': .*missing"),
        ([(s, t, "" if s == "b" else 1, 0) for s in "ab" for t in range(40)], {"missing": "mask", "scale": "group"},
         r"column 'y' has no value in the training rows of series 'b'"),
        (SERIES, {"transform": "sqrt", "targets": "n"}, r"line 4, column 'n': has no sqrt: set transform to none"),
    ],
)  # fmt: skip
def test_bad_data_get_one_line_that_says_what_to_do(rows, settings, message):
    rows = [(*row, -1 if k == 2 else 1) for k, row in enumerate(rows)]
    with pytest.raises(EvornnError, match=message) as caught:
        build(rows, "shop,t,y,x,n", **settings)
    assert "\n" not in str(caught.value)


def test_series_of_other_frequencies_are_refused():
    rows = [("a", day, 1, 2) for day in days(40)] + [("b", day, 1, 2) for day in days(80)[::2]]
    with pytest.raises(EvornnError, match=r"rows of 'a' are 1 day apart, those of 'b' 2 day: space all series alike"):
        build(rows)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"missing": "interpolate"}, r"^task\.missing: "),  # reads rows after the forecast
        ({"calendar": ["century"]}, r"^task\.calendar"),
        ({"calendar": ["hour", "hour"]}, r"^task\.calendar: name each"),
        ({"targets": []}, r"^task\.targets: name at least one"),
        ({"scale": "row"}, r"^task\.scale: "),
        ({"scale": "group", "split_by": "group"}, r"^task\.scale: a series of the test has no training rows"),
        ({"split_by": "group", "split": ["2024-01-01", "2024-02-01"]}, r"^task\.split_by: splits by fractions"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(EvornnError, match=message):
        build(SERIES, **settings)


def test_a_forecast_without_its_own_past_says_so():
    write_table("one.csv", "y,x", [(k % 5, k % 3) for k in range(60)])
    csv = {"kind": "csv", "path": "one.csv", "targets": "y", "window": 4}
    plain, blind = (TASKS.build({**csv, **extra}).data() for extra in ({}, {"inputs": "x"}))
    assert plain.warning == "" and "past" not in plain.note
    assert blind.warning.startswith("The past of 'y' is not an input, for the networks and the baseline")
    assert blind.warning in blind.note and blind.evaluation.warning == blind.warning
    assert data_digest(blind) != data_digest(plain)
