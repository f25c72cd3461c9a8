"""Files of a user's own: what is read, what is refused in which words, and in which precision values come back."""

import re
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from evornn.data.scaling import Scaling
from evornn.errors import EvornnError
from evornn.experiments.reporting import charts
from evornn.experiments.reporting.network_summary import summarise_network
from evornn.networks.network import Network
from evornn.tasks import TASKS
from evornn.tasks.core import baselines, windows

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
NEW_YEAR = datetime(2021, 1, 1)
BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def build(lines, header="t,y", **settings):
    with open("data.csv", "w", encoding="utf-8", newline="") as file:
        file.write("\n".join([header, *lines]) + "\n")
    defaults = {"kind": "csv", "path": "data.csv", "targets": "y", "window": 3}
    return TASKS.build({**defaults, **({"date": "t"} if header.startswith("t") else {}), **settings}).data()


def refusal(lines, **settings):
    with pytest.raises(EvornnError) as caught:
        build(lines, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def rows(times):
    return [f"{time},{k % 5}" for k, time in enumerate(times)]


def every(step, count=100, start=NEW_YEAR):
    return [(start + k * step).isoformat() for k in range(count)]


def days(count=100, start=date(2021, 1, 1)):
    return [start + k * DAY for k in range(count)]


def months(count):
    return [f"{2000 + k // 12}-{k % 12 + 1:02}" for k in range(count)]


def business_days(count=200):
    return [day for day in days(count) if day.weekday() < 5]


# Missing values.


@pytest.mark.parametrize("blank", ["", ",", " , ", "\t,", "NA,NA", "2021-02-20,NA"])
def test_a_row_without_values_is_missing_wherever_it_stands(blank):
    lines = [*rows(days(50)), blank, *rows(days(50, date(2021, 2, 21)))]
    assert re.match(r"data\.csv, line 52, column 'y': '(NA)?' is not a finite number: fill it in$", refusal(lines))


@pytest.mark.parametrize("blank", ["", "   "])
def test_a_blank_line_in_a_single_column_is_missing(blank):
    message = refusal([*"12345", blank, *"678"], header="y")
    assert message == "data.csv, line 7, column 'y': '' is not a finite number: fill it in"


def test_the_first_value_may_not_be_missing_either():
    assert "line 2, column 'y': ''" in refusal(["", *"12345678"], header="y")


@pytest.mark.parametrize("end", [[""], ["", ""], [",", " , "]])
def test_blank_lines_at_the_end_are_no_rows(end):
    assert len(build([*rows(days(40)), *end]).test) == 6


# Numbers and columns.


@pytest.mark.parametrize(
    "cell", ["1_0", "1_000.5", "0x10", "١٢", "１２", "1 000", "1e999", '"1,5"', "--1", "1e", "1d5"]
)
def test_only_what_other_programs_take_for_a_number_is_one(cell):
    message = refusal(["2021-01-01,1", f"2021-01-02,{cell}"])
    assert message.startswith("data.csv, line 3, column 'y':")
    assert message.endswith("is not a finite number: write numbers like 1234.5")


@pytest.mark.parametrize("cell", ["nan", "inf", "-Infinity", "NULL", "?", "-", ""])
def test_what_has_no_digits_is_missing(cell):
    assert refusal(["2021-01-01,1", f"2021-01-02,{cell}"]).endswith("is not a finite number: fill it in")


def test_numbers_in_all_their_forms_are_read():
    cells = ["1", "-1.5", "+.5", "2.", "1e3", "1.5E-3", " 7 ", "0008"]
    truth = build(cells, header="y", window=1, split=[0.5, 0.125, 0.375]).chart
    assert [*truth.history, *truth.truth[:, 0]] == [float(cell) for cell in cells]


@pytest.mark.parametrize(("separator", "name"), [(";", "';'"), ("\t", r"'\\t'"), ("|", r"'\|'")])
@pytest.mark.parametrize("value", ["1.5", "1,5"])
def test_another_separator_is_named(separator, name, value):
    message = refusal([f"2021-01-01{separator}{value}"], header=f"t{separator}y")
    assert re.search(rf": columns are separated by {name}: separate them by commas$", message)


@pytest.mark.parametrize("separator", [" ", ":"])
def test_what_may_be_part_of_a_name_is_a_separator_where_it_stands_beside_the_name(separator):
    message = refusal([f"2021-01-01{separator}1.5"], header=f"t{separator}y")
    assert message.endswith(f"no column 'y': columns are separated by '{separator}': separate them by commas")
    assert "did you mean 'wind speed'?" in refusal(["1.5"], header="wind speed", targets="wind sped")


def test_a_cell_too_many_is_not_blamed_on_the_separator():
    message = refusal(["1,5", "2,5"], header="y")
    assert message.endswith("line 2: 2 cells under 1 column names: fix the line, or quote cells that have a comma")


# Dates.


@pytest.mark.parametrize("cell", ["now", "today", "2021.5", "2021-13-01", "2021-02-30", "1609459200", "1/2/2021", ""])
def test_what_is_no_date_is_not_taken_for_one(cell):
    message = refusal(["2021-01-01,1", f"{cell},2"])
    assert message == f"data.csv, line 3, column 't': {cell!r} is not an ISO date: write dates like 2008-12-31"


@pytest.mark.parametrize("forms", ["%Y-%m-%d", "%Y/%m/%d", "%Y%m%d", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S.%f"])
def test_dates_in_all_their_forms_are_read(forms):
    assert build(rows(day.strftime(forms) for day in map(datetime.fromisoformat, every(DAY)))).chart.times[-1] == (
        "2021-04-10"
    )


def test_dates_of_other_centuries_are_read():
    assert build(rows(range(1000, 1060))).chart.times[-1] == "1059-01-01"


@pytest.mark.parametrize(
    ("step", "label", "season"),
    [
        (MINUTE, "1 minute", 1440),
        (5 * MINUTE, "5 minutes", 288),
        (15 * MINUTE, "15 minutes", 96),
        (30 * MINUTE, "30 minutes", 48),
        (HOUR, "1 hour", 24),
        (HOUR - timedelta(seconds=1), "1 hour", 24),
        (6 * HOUR, "6 hours", 4),
        (7 * MINUTE, "7 minutes", None),
        (timedelta(seconds=10), "10 seconds", 8640),
        (timedelta(milliseconds=10), "10 milliseconds", 8_640_000),
        (DAY, "1 day", 7),
        (2 * DAY, "2 days", None),
        (7 * DAY, "1 week", 52),
        (14 * DAY, "2 weeks", 26),
    ],
)
def test_fixed_steps_and_their_seasons(step, label, season):
    lines = rows(every(step))
    assert build(lines).labels == (f"y, {label} ahead",)
    assert TASKS.build({"kind": "csv", "path": "data.csv", "targets": "y", "date": "t"}).time_series().season == season


@pytest.mark.parametrize("step", [15 * MINUTE, HOUR])
def test_clocks_that_jitter_keep_their_step(step):
    """Of these steps the median is 2 s longer than the step, the mean is not."""
    jitter = [timedelta(seconds=7 * k % 5) for k in range(100)]
    times = [(NEW_YEAR + k * step + late).isoformat() for k, late in enumerate(jitter)]
    assert build(rows(times)).labels == build(rows(every(step))).labels
    task = TASKS.build({"kind": "csv", "path": "data.csv", "targets": "y", "date": "t"})
    assert task.time_series().season == DAY // step


@pytest.mark.parametrize(
    ("times", "label", "season"),
    [
        (months(60), "1 month", 12),
        (months(120)[::2], "2 months", 6),
        (months(120)[::3], "1 quarter", 4),
        (months(240)[::6], "6 months", 2),
        (list(range(1900, 1960)), "1 year", None),
        (list(range(1500, 2000, 10)), "10 years", None),
        (business_days(), "1 business day", 5),
        ([day for day in days(200) if day.weekday() < 6], "1 business day", 6),
        ([day for day in days(200) if day.weekday() in (6, 0, 1, 2, 3)], "1 business day", 5),
        ([day for k, day in enumerate(business_days()) if k % 31 != 7], "1 business day", 5),
        ([a for a, b in pairwise(business_days(900)) if a.month != b.month], "1 month", 12),
    ],
)  # fmt: skip
def test_calendar_steps_and_their_seasons(times, label, season):
    assert build(rows(times), window=2, split=[0.5, 0.25, 0.25]).labels == (f"y, {label} ahead",)
    assert TASKS.build({"kind": "csv", "path": "data.csv", "targets": "y", "date": "t"}).time_series().season == season


def test_a_horizon_counts_the_units_of_a_step():
    assert build(rows(every(15 * MINUTE)), horizon=2).labels == ("y, 15 minutes ahead", "y, 30 minutes ahead")


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (
            [*days(60), *days(40, date(2021, 3, 13))],
            "line 62: 12 days after the row before, elsewhere 1: fill in",
        ),
        (
            [t for k, t in enumerate(every(HOUR)) if k not in (50, 51)],
            "line 52: 3 hours after the row before, elsewhere",
        ),
        (
            [t for k, t in enumerate(every(5 * MINUTE)) if k != 7],
            "line 9: 10 minutes after the row before, elsewhere 5: ",
        ),
        (
            [t for k, t in enumerate(months(60)) if k != 30],
            "line 32: 2 months after the row before, elsewhere 1: fill",
        ),
        (
            [t for k, t in enumerate(months(240)[::3]) if k != 30],
            "line 32: 2 quarters after the row before, elsewhere 1",
        ),
        (
            [t for t in range(1900, 1960) if t != 1914],
            "line 16: 2 years after the row before, elsewhere 1",
        ),
        (
            [t for k, t in enumerate(every(7 * DAY)) if k != 9],
            "line 11: 14 days after the row before, elsewhere 1 week",
        ),
        (
            [t for k, t in enumerate(business_days()) if not 50 <= k < 59],
            "14 days after the row before, elsewhere 1 business",
        ),
        (
            [*days(50), "2021-02-19T12:00", *days(50, date(2021, 2, 20))],
            "line 52: 0.5 days after .*: space the rows evenly",
        ),
        (
            [date(2021, 1, 1) + k * k * DAY for k in range(30)],
            "and other steps elsewhere: .*or leave date out to count rows",
        ),
    ],
)
def test_gaps_are_refused_with_their_line(times, message):
    assert re.search(message, refusal(rows(times)))


def test_an_hour_that_the_clocks_left_out_or_repeat_wants_an_offset():
    local = [
        time.replace(tzinfo=UTC).astimezone(BERLIN) for time in (datetime(2021, 3, 27) + k * HOUR for k in range(60))
    ]
    naive = [time.replace(tzinfo=None).isoformat() for time in local]
    assert "2 hours after the row before, elsewhere 1: fill in the missing rows, or write the offset" in refusal(
        rows(naive)
    )
    for step in (HOUR, 15 * MINUTE):
        local = [
            time.replace(tzinfo=UTC).astimezone(BERLIN)
            for time in (datetime(2021, 10, 30) + k * step for k in range(240))
        ]
        message = refusal(rows(time.replace(tzinfo=None).isoformat() for time in local))
        assert "'2021-10-31T02:00:00' is not after the row before: write the offset from UTC, as in" in message
        assert build(rows(time.isoformat() for time in local)).chart.times  # as the message says
    assert build(rows(time.isoformat() for time in local)).labels == ("y, 15 minutes ahead",)


def test_a_date_that_is_there_twice_is_not_called_unsorted():
    message = refusal(rows([*days(20), days(20)[-1]]))
    assert message.endswith("'2021-01-20' is the date of the row before, too: leave one row for each date")


@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK, ZoneInfo("Asia/Kolkata")])
def test_a_day_is_the_day_that_stands_in_the_file(zone):
    """Both sides of the change of clocks; in UTC they would be other days, and one step 23 hours."""
    midnights = [(datetime(2021, 3, 1) + k * DAY).replace(tzinfo=zone).isoformat() for k in range(60)]
    data = build(rows(midnights), split=["2021-04-10", "2021-04-20"])
    assert data.labels == ("y, 1 day ahead",)
    assert (data.chart.times[0], data.chart.times[-1], len(data.valid)) == ("2021-04-20", "2021-04-29", 10)
    assert data.chart.truth[0, 0] == 50 % 5 and "validation from 2021-04-10, test from 2021-04-20" in data.note


def test_hours_with_an_offset_are_hours_on_both_sides_of_the_change():
    local = [(datetime(2021, 10, 25, tzinfo=UTC) + k * HOUR).astimezone(BERLIN).isoformat() for k in range(400)]
    data = build(rows(local), split=["2021-10-31T12:00", "2021-11-05"])
    assert data.labels == ("y, 1 hour ahead",)
    assert "validation from 2021-10-31T12:00:00, test from 2021-11-05T00:00:00" in data.note


def test_offsets_stand_at_all_dates_or_at_none():
    message = refusal(["2021-01-01T00:00,1", "2021-01-01T01:00Z,2"])
    assert message.endswith("has an offset from UTC, unlike the first row: write all dates with it, or none")
    message = refusal(["2021-01-01T00:00+01:00,1", "2021-01-01T01:00,2"])
    assert "'2021-01-01T01:00' has no offset from UTC" in message


# Splits.


@pytest.mark.parametrize(
    "split",
    [
        ["2021-01-03T12:00", "2021-01-04T06:00"],
        ["2021-01-03 12:00", "2021-01-04T06:00:00"],
        [datetime(2021, 1, 3, 12), datetime(2021, 1, 4, 6)],
        ["2021-01-03T11:30", "20210104T06"],
    ],
)
def test_a_split_may_be_finer_than_a_day(split):
    data = build(rows(every(HOUR)), split=split)
    assert (len(data.valid), data.chart.times[0]) == (18, "2021-01-04T06:00:00")
    task = TASKS.build({"kind": "csv", "path": "data.csv", "targets": "y", "date": "t", "split": split})
    assert TASKS.build(TASKS.spec_of(task)) == task


@pytest.mark.parametrize("split", [
    ["2021-02-01", "2021-03-01T00:00"], ["20210201", "20210301"], ["2021-02", "2021-03"], ["2021/2/1", "2021/3/1"],
])  # fmt: skip
def test_a_split_in_another_form_is_the_same_split(split):
    data = build(rows(days()), split=split)
    assert (len(data.valid), data.chart.times[0]) == (28, "2021-03-01")


def test_a_split_that_is_no_date_is_named():
    message = refusal(rows(days()), split=["1.2.2021", "1.3.2021"])
    assert message.startswith("task.split: '1.2.2021' is not an ISO date: write dates like 2008-12-31")


def test_a_split_has_no_offset():
    message = refusal(rows(every(HOUR)), split=["2021-01-03T12:00Z", "2021-01-04T12:00Z"])
    assert message.startswith("task.split: 2021-01-03T12:00Z has an offset from UTC: write the local time")


# Precision.


@pytest.mark.parametrize("level", [1e9, 1.7e12, -1e14])
@pytest.mark.parametrize("difference", [True, False])
def test_values_in_original_units_keep_a_small_signal_on_a_large_level(level, difference):
    signal = np.round(np.sin(np.arange(200) / 3), 2)
    data = build([f"{level + value:.4f}" for value in signal], header="y", difference=difference)
    chart, tolerance = data.chart, 0.001 + 4 * np.spacing(abs(level))
    np.testing.assert_allclose(chart.truth[:, 0] - level, signal[170:], atol=tolerance)
    np.testing.assert_allclose(chart.history - level, signal[:170], atol=tolerance)
    np.testing.assert_allclose(
        chart.inverse_transform(data.test.targets[:, -1])[:, 0] - level, signal[170:], atol=tolerance
    )
    persistence = data.baselines[0]
    assert persistence.name == "persistence"
    np.testing.assert_allclose(persistence.predictions[:, 0] - level, signal[169:-1], atol=tolerance)
    assert {a.dtype for a in (chart.truth, chart.offset, chart.scale, chart.history)} == {np.dtype(np.float64)}


def test_charts_show_a_small_signal_on_a_large_level():
    """A network that is wrong by the whole signal is not on the diagonal, and no two values are the same step."""
    signal = np.sin(np.arange(200) / 3)
    data = build([f"{1.7e12 + value:.4f}" for value in signal], header="y")
    network = Network("elman", inputs=1, units=3, outputs=1)
    forecast = summarise_network(network, data, network.sample(1, 0)[0]).forecast
    points = charts.predicted_true(forecast, {}).data[0]
    truth, predicted = np.asarray(points.x), np.asarray(points.y)
    drawn = charts.forecasts(forecast, {}, data.baselines).data
    np.testing.assert_allclose(truth - 1.7e12, signal[170:], atol=1e-3)
    assert len(np.unique(predicted)) == 30 and np.abs(predicted - truth).max() < 10
    for line in drawn[1:]:
        assert np.asarray(line.y).dtype == np.float64 and np.abs(np.asarray(line.y) - truth).max() < 10


def test_charts_of_other_centuries_are_drawn():
    data = build(rows(range(1000, 1060)))
    network = Network("elman", inputs=1, units=3, outputs=1)
    forecast = summarise_network(network, data, network.sample(1, 0)[0]).forecast
    assert charts.forecasts(forecast, {}).data[0].x[-1] == "1059-01-01"


@pytest.mark.parametrize("row", [20, 75, 95])
@pytest.mark.parametrize("value", ["1.7976931348623157e308", "-1e300"])
def test_a_value_that_overflows_is_named(row, value):
    cells = [f"{np.sin(k):.3f},1" for k in range(100)]
    cells[row] = f"{value},1"
    message = refusal(cells, header="y,z", inputs=["z", "y"])
    assert message.startswith(f"column 'y', row {row + 1}: {float(value):g} is too large to be scaled")


@pytest.mark.parametrize("transform", ["none", "sqrt"])
def test_a_value_that_overflows_in_an_input_only_is_named(transform):
    cells = [f"{k % 3},{1e308 if k == 90 else k}" for k in range(100)]
    assert "column 'z', row 91: 1e+308" in refusal(cells, header="y,z", inputs=["z", "y"], transform=transform)


@pytest.mark.parametrize("value", ["3.4e38", "-9999"])
def test_a_large_training_value_that_can_be_scaled_is_only_a_bad_scale(value):
    cells = [f"{np.sin(k):.3f}" for k in range(100)]
    cells[20] = value
    assert np.isfinite(build(cells, header="y").train.inputs).all()


@pytest.mark.parametrize("unit", ["e-160", "e-200", "e-320"])
def test_a_column_whose_deviation_underflows_is_named(unit):
    """Its values are not equal, but the squares of their differences are 0 in double precision, or nearly so."""
    cells = [f"{k % 3 + 1}{unit},1" for k in range(100)]
    message = refusal(cells, header="y,z", inputs=["z"])
    assert message.startswith("column 'y' varies too little to be scaled (standard deviation below 1e-150): give it in")
    assert np.ptp(build([f"{k % 3 + 1}e-140" for k in range(100)], header="y").train.inputs) > 1


def test_forecasts_beyond_all_numbers_are_infinite_without_a_warning(recwarn):
    cells = [f"{np.exp(600 + 100 * np.sin(k)):.6g}" for k in range(100)]
    chart = build(cells, header="y", transform="log1p").chart
    assert np.isinf(chart.inverse_transform(np.full((len(chart.truth), 1), 1e4))).all() and not len(recwarn)


def test_a_constant_column_is_zero_even_where_its_deviation_is_a_rounding_error():
    assert np.full(7, 0.1).std() > 0
    scaled = Scaling.fit("none", np.full((7, 1), 0.1)).apply(np.array([[0.1], [0.6]]))
    np.testing.assert_allclose(scaled[:, 0], [0, 0.5], atol=1e-12)


# Costs.


@pytest.mark.parametrize("horizon", [1, 3])
def test_baselines_in_portions_are_those_of_the_whole(monkeypatch, horizon):
    values = np.sin(np.arange(300) / 3) + np.random.default_rng(0).normal(size=300)
    lines = [f"{value:.5f},{k % 7}" for k, value in enumerate(values)]
    at_once = build(lines, header="y,z", inputs=["y", "z"], window=12, horizon=horizon).baselines
    monkeypatch.setattr(baselines, "PORTION", 240)
    in_portions = build(lines, header="y,z", inputs=["y", "z"], window=12, horizon=horizon).baselines
    for one, other in zip(at_once, in_portions, strict=True):
        assert (one.valid, one.test) == pytest.approx((other.valid, other.test), rel=1e-7)
        np.testing.assert_allclose(one.predictions, other.predictions, rtol=1e-6, atol=1e-7)


def test_windows_are_held_in_portions(monkeypatch):
    """No array of features is larger than a portion."""
    sizes, features = [], baselines._features
    monkeypatch.setattr(baselines, "PORTION", 2**12)
    monkeypatch.setattr(baselines, "_features", lambda part: sizes.append(part.size) or features(part))
    build([f"{k % 9}" for k in range(2000)], header="y", window=40)
    assert len(sizes) > 20 and max(sizes) <= 2**12


def test_origins_that_count_are_those_of_all_steps_of_all_windows():
    rng = np.random.default_rng(1)
    for _ in range(30):
        window = int(rng.integers(1, 9))
        washout, origins = (
            int(rng.integers(0, window)),
            np.sort(rng.choice(np.arange(window - 1, 60), 9, replace=False)),
        )
        counted = {int(o) - k for o in origins for k in range(window - washout)}
        assert windows.loss_origins(origins, window, washout).tolist() == sorted(o for o in counted if o >= window - 1)
