"""What is compared belongs together: settings, data and losses, whatever the labels say."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import evornn
from evornn.errors import EvornnError
from evornn.networks.network import Network
from evornn.service.reading.comparison_data import ComparisonData
from evornn.service.reading.results import Results

STORE = "sqlite:///runs.db"
CELL = """
from evornn.cell import Cell
from evornn.ops import tanh
from evornn.settings import settings

@settings
class Mine(Cell):
    def step(self, w, x, h):
        return tanh(w.h(x, h))
"""


def write(path: Path, values: np.ndarray) -> None:
    path.write_text("load\n" + "\n".join(f"{value:.4f}" for value in values) + "\n")


def spec(path: str = "series.csv", **changes: Any) -> dict[str, Any]:
    return {
        "name": path,
        "tasks": [{"kind": "csv", "path": path, "targets": ["load"], "window": 4}],
        "networks": [{"kind": "elman", "units": 2}],
        "trainers": [{"kind": "snes", "population": 4}],
        "seeds": 2,
        "budget": {"steps": 20_000, "marks": 2},
        **changes,
    }


def run(data: dict[str, Any]) -> Results:
    return evornn.run(data, store=STORE, workers=0)


@pytest.fixture(autouse=True)
def two_series(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    write(tmp_path / "series.csv", np.sin(np.arange(200) / 3))
    write(tmp_path / "walk.csv", rng.standard_normal(200).cumsum())


@pytest.mark.parametrize("order", [[1, 2, 3, 4], [3, 4, 1, 2]])
def test_two_files_are_two_tasks_in_any_order(order: list[int]) -> None:
    run(spec()).close()
    with run(spec("walk.csv")) as results:
        comparison = results.compare(runs=order)
    tasks = {task.task: task for task in comparison.tasks}
    assert set(tasks) == {"csv (job 1)", "csv (job 2)"}
    assert all(sum(task.states.values()) == 2 and task.cells[0].runs == 2 for task in tasks.values())
    losses = [{v.baseline: v.loss for v in task.chosen.verdicts} for task in tasks.values() if task.chosen]
    assert len(losses) == 2 and losses[0]["persistence"] != losses[1]["persistence"]


def test_equal_settings_and_data_stay_one_task() -> None:
    run(spec()).close()
    with run(spec(seeds=3)) as results:
        (task,) = results.compare(runs=[1, 2, 3, 4, 5]).tasks
    assert task.task == "csv" and task.seeds == 3


def test_other_settings_under_one_label_are_other_trainers() -> None:
    run(spec()).close()
    with run(spec(trainers=[{"kind": "snes", "population": 6}])) as results:
        (task,) = results.compare(runs=[1, 2, 3, 4]).tasks
    assert {cell.trainer for cell in task.cells} == {"snes (job 1)", "snes (job 2)"}


@pytest.mark.parametrize(
    "change",
    [{"budget": {"steps": 30_000, "marks": 2}}, {"start_from": {"run": 1}}, {"regularisation": {"weight_decay": 0.1}}],
)
def test_another_budget_or_start_is_no_repetition(change: dict[str, Any]) -> None:
    run(spec()).close()
    with run(spec(**change)) as results:
        comparison = results.compare(runs=[1, 2, 3, 4])
    (task,) = comparison.tasks
    assert {(cell.trainer, cell.runs) for cell in task.cells} == {("snes (job 1)", 2), ("snes (job 2)", 2)}
    assert not any("repetitions" in note for note in comparison.notes)


def test_a_comparison_says_who_was_regularised() -> None:
    run(spec()).close()
    with run(spec(regularisation={"weight_decay": 0.5, "input_noise": 0.25})) as results:
        notes = results.compare(runs=[1, 2, 3, 4]).notes
    assert "Trained with input noise 0.25, weight decay 0.5: snes (job 2). All losses are without." in notes


def test_other_code_under_one_name_is_another_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    code = tmp_path / "my_compared_cell.py"
    code.write_text(CELL)
    with run(spec(networks=[{"kind": "my_compared_cell:Mine", "units": 2}, {"kind": "elman", "units": 2}])) as results:
        code.write_text(CELL + "# changed\n")
        again = spec(networks=[{"kind": "my_compared_cell:Mine", "units": 2}, {"kind": "elman", "units": 2}])
        with pytest.raises(EvornnError, match="the code of my_compared_cell has changed since run 1: put it back"):
            results.submit({**again, "networks": again["networks"][:1], "start_from": {"run": 1}})
        run(again).close()
        (task,) = results.compare(runs=range(1, 9)).tasks
    names = {f"my_compared_cell:Mine (job {job})" for job in (1, 2)}
    assert {(cell.network, cell.runs) for cell in task.cells} == {*((name, 2) for name in names), ("elman", 2)}


def test_series_that_are_equal_once_scaled_are_two() -> None:
    """Other units, and other dates."""
    values = np.round(np.sin(np.arange(200) / 3), 4)
    days = np.datetime64("2001-01-01") + np.arange(200)
    with evornn.open(STORE, create=True) as results:
        for factor, shift in ((1, 0), (2, 0), (1, 365)):
            rows = [f"{day},{factor * value:.4f}" for day, value in zip(days + shift, values, strict=True)]
            Path("dated.csv").write_text("day,load\n" + "\n".join(rows) + "\n")
            task = {"kind": "csv", "path": "dated.csv", "targets": ["load"], "window": 4, "date": "day"}
            run(spec(tasks=[task], seeds=1)).close()
        ones, twos, later = (results.compare(job).tasks[0] for job in (1, 2, 3))
        assert results.run(3).data.chart.times[0] > "2002"
        assert len({record.data_digest for record in results.store.runs()}) == 3
    first, second = (task.chosen.verdicts[0].errors["load"] for task in (ones, twos))
    assert second.rmse == pytest.approx(2 * first.rmse) and second.r2 == pytest.approx(first.r2)
    assert later.chosen.verdicts == ones.chosen.verdicts


def test_results_stay_readable_when_the_data_change_or_are_gone(tmp_path: Path) -> None:
    with run(spec()) as results:
        before, page = results.compare(), results.report("before.html").read_text()
        model, network = results.run(1).model, results.service.draw_network(1)
        for change in (lambda path: write(path, np.arange(200.0)), Path.unlink):
            change(tmp_path / "series.csv")
            assert results.compare() == before
            assert results.report("after.html").read_text() == page
            kept = results.run(1).model  # without intervals, which are made from the validation data
            assert (kept.architecture, kept.preparation) == (model.architecture, model.preparation)
            assert np.array_equal(kept.genome, model.genome) and kept.metrics.errors == model.metrics.errors
            assert results.service.draw_network(1) == network
            with pytest.raises(EvornnError, match=r"^its data (have changed|can't be read)"):
                _ = results.run(1).data
    assert before.tasks[0].chosen is not None and len(before.tasks[0].chosen.verdicts) == 3
    assert "Forecast" in page


def test_of_large_data_losses_and_errors_of_baselines_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evornn.tasks.core.task.MAX_KEPT_BYTES", 1000)
    with run(spec()) as results:
        data = ComparisonData(results.service.store, 1)
        assert data.forecasts()["csv"].predictions  # while the file is there
        before = data.comparison
        (tmp_path / "series.csv").unlink()
        data = ComparisonData(results.service.store, 1)
        assert data.comparison == before and not data.forecasts()
        assert results.service.draw_network(1).figures


def test_runs_of_earlier_versions_have_kept_nothing(tmp_path: Path) -> None:
    with run(spec()) as results:
        with sqlite3.connect("runs.db") as connection:
            connection.execute("DELETE FROM evaluation_data")
        assert results.compare().tasks[0].chosen.verdicts  # the data are still the same
        write(tmp_path / "series.csv", np.arange(200.0))
        changed = results.compare()
        (tmp_path / "series.csv").unlink()
        gone = results.compare()
    assert any("csv: its data have changed since the runs were submitted" in note for note in changed.notes)
    assert any(note.startswith("csv: its data can't be read here") for note in gone.notes)
    assert all(not comparison.tasks[0].chosen.verdicts for comparison in (changed, gone))


@pytest.mark.parametrize("change", ["resume", "retry"])
def test_runs_are_not_queued_again_on_other_data(change: str, tmp_path: Path) -> None:
    with evornn.open(STORE, create=True) as results:
        job = results.submit(spec())
        claim = results.service.store.claim("a dispatcher")
        results.service.store.fail(claim.run.id, claim.lease, "out of order", retry=False)
        act = {"resume": results.resume, "retry": results.retry}[change]
        write(tmp_path / "series.csv", np.arange(200.0))
        for which in ({"job": job}, {"run": claim.run.id}):
            with pytest.raises(EvornnError, match=r"^series.csv on this machine differs from what this run was submit"):
                act(**which)
        assert results.store.run(claim.run.id).state == "failed"
        (tmp_path / "series.csv").unlink()  # it may be there on the machine that computes
        assert act(run=claim.run.id) == 1
        assert results.store.run(claim.run.id).state == "queued"


def test_every_forecast_has_its_errors_in_original_units(capsys: pytest.CaptureFixture[str]) -> None:
    with run(spec()) as results:
        record, (task,) = results.store.run(1), results.compare().tasks
        chart, prediction = (
            results.run(1).data.chart,
            results.run(1).network.predict(results.run(1).genome[None], results.run(1).data.test.inputs),
        )
        exported = results.runs()
        answer = results.query("SELECT rmse, mae, mase, r2, forecast_errors FROM results WHERE run = 1")
        terminal = rendered(results)
        page = results.report("report.html").read_text()
    difference = chart.inverse_transform(prediction[0, :, -1]) - chart.truth
    assert record.rmse == pytest.approx(np.sqrt(np.mean(difference**2)))
    assert record.mae == pytest.approx(np.abs(difference).mean())
    assert record.forecast_errors == {"load": {name: getattr(record, name) for name in ("rmse", "mae", "mase", "r2")}}
    assert answer.iloc[0, :4].tolist() == exported.loc[0, ["rmse", "mae", "mase", "r2"]].tolist()
    assert answer.iloc[0, 0] == record.rmse
    assert task.chosen.errors["load"].rmse == results.store.run(task.chosen.run).rmse
    assert all(verdict.errors["load"].mase for verdict in task.chosen.verdicts)
    for text in ("RMSE", "MAE", "MASE", "R²", "persistence", f"{task.cells[0].errors.rmse:.4g}"):
        assert text in terminal and text in page


def test_errors_of_several_targets_are_not_averaged_across_units(tmp_path: Path) -> None:
    rows = [f"{np.sin(k / 3):.4f},{1000 + 50 * np.cos(k / 4):.4f}" for k in range(200)]
    (tmp_path / "two.csv").write_text("load,price\n" + "\n".join(rows) + "\n")
    task = {"kind": "csv", "path": "two.csv", "targets": ["load", "price"], "window": 4, "horizon": 2}
    with run(spec(tasks=[task], seeds=1)) as results:
        record, terminal = results.store.run(1), rendered(results)
    errors = record.forecast_errors
    assert set(errors) == {"load", "price"} and errors["price"]["rmse"] > 10 * errors["load"]["rmse"]
    assert record.rmse is None and record.mae is None
    assert record.mase == pytest.approx((errors["load"]["mase"] + errors["price"]["mase"]) / 2)
    assert "persistence: price" in terminal


def rendered(results: Results) -> str:
    from rich.console import Console

    from evornn.experiments.reporting.terminal import render

    console = Console(width=100, record=True)
    console.print(render(results.compare()))
    return console.export_text()


def test_baselines_of_another_loss_are_not_shown() -> None:
    task = {"kind": "parity", "length": 8, "train": 20, "valid": 10, "test": 10}
    with run(spec(tasks=[task], loss="mse")) as results:
        comparison = results.compare()
    assert comparison.tasks[0].chosen is not None and not comparison.tasks[0].chosen.verdicts
    assert "parity: its runs have the loss mse, its baselines binary_cross_entropy; these are not shown." in (
        comparison.notes
    )


@pytest.mark.parametrize(
    ("loss", "problem"),
    [
        ("cross_entropy", "cross_entropy wants two outputs or more"),
        ("binary_cross_entropy", "binary_cross_entropy wants targets from 0 to 1, these go from"),
        ("zero_one", "zero_one wants targets from 0 to 1, these go from"),
    ],
)
def test_losses_that_the_data_cannot_have_are_refused(loss: str, problem: str) -> None:
    with pytest.raises(EvornnError, match=problem):
        run(spec(loss=loss))
    network = Network("elman", inputs=1, units=2, outputs=1)
    x, y = np.zeros((2, 5, 1)), np.full((2, 5, 1), -1.5)
    with pytest.raises(EvornnError, match=problem):
        network.losses(network.sample(2, 0), x, y, loss=loss)
    for method in () if loss == "zero_one" else (network.gradients, network.sensitivities):
        with pytest.raises(EvornnError, match=problem):
            method(network.sample(2, 0), x, y, loss=loss)
    y[:, 0] = 0.5  # what does not count may be anything
    mask = np.zeros((2, 5), bool)
    mask[:, 0] = True
    if loss == "binary_cross_entropy":
        assert np.isfinite(network.losses(network.sample(2, 0), x, y, loss=loss, mask=mask)).all()


def test_a_run_that_diverges_fails_is_named_and_is_worst() -> None:
    diverging = {"kind": "rmsprop", "learning_rate": 1e30, "label": "diverging"}
    task = {"kind": "csv", "path": "walk.csv", "targets": ["load"], "window": 4}
    with run(spec(tasks=[task], trainers=[{"kind": "snes", "population": 4}, diverging])) as results:
        states = {(r.trainer, r.state) for r in results.store.runs()}
        comparison = results.compare()
    assert states == {("snes", "succeeded"), ("diverging", "failed")}
    (task_comparison,) = comparison.tasks
    cells = {cell.trainer: cell for cell in task_comparison.cells}
    assert cells["diverging"].failed == 2 and not np.isfinite(cells["diverging"].test.median)
    assert task_comparison.chosen is not None and task_comparison.chosen.trainer == "snes"
    assert any(note.startswith("2 runs diverged and count as the worst: run") for note in comparison.notes)


def test_a_warm_start_needs_the_same_network() -> None:
    task = [{"kind": "csv", "path": "series.csv", "targets": ["load"], "window": 4}]
    with run(spec(seeds=1, networks=[{"kind": "elman", "units": 4}])) as results:
        same = spec(seeds=1, tasks=task, networks=[{"kind": "elman", "units": 4, "activation": "tanh"}])
        assert results.submit({**same, "start_from": {"run": 1}}) == 2
        for network in ({"kind": "gru", "units": 2}, {"kind": "elman", "units": 4, "activation": "relu"}):
            with pytest.raises(EvornnError, match=r"^start_from: run 1 has the network .*elman.*the same network"):
                results.submit({**spec(seeds=1, networks=[network]), "start_from": {"run": 1}})


def test_a_warm_start_needs_the_same_inputs_and_outputs(tmp_path: Path) -> None:
    """6 inputs and 1 output, 1 input and 5 outputs: with 4 units both have 49 parameters."""
    names = "abcdef"
    rows = [",".join(f"{np.sin((k + 7 * j) / 3):.4f}" for j in range(6)) for k in range(200)]
    (tmp_path / "six.csv").write_text(",".join(names) + "\n" + "\n".join(rows) + "\n")
    network = {"kind": "elman", "units": 4}
    six = {"kind": "csv", "path": "six.csv", "targets": ["a"], "inputs": [*names], "window": 4}
    five = {"kind": "csv", "path": "series.csv", "targets": ["load"], "window": 4, "horizon": 5}
    with run(spec(seeds=1, tasks=[six], networks=[network])) as results:
        assert results.store.run(1).parameters == 49
        again = spec(seeds=1, tasks=[five], networks=[network])
        with pytest.raises(EvornnError, match="run 1 has 6 inputs and 1 outputs, this spec 1 and 5: start from a run"):
            results.submit({**again, "start_from": {"run": 1}})
        assert results.submit(again) == 2  # the same number of parameters
        assert results.store.run(2).parameters == 49


def test_a_report_says_where_data_are_from_and_warns_of_a_target_whose_past_is_not_read(tmp_path: Path) -> None:
    """Even when the file is gone."""
    rows = [f"{k % 7},{k % 3}" for k in range(90)]
    (tmp_path / "both.csv").write_text("\n".join(["load,heat", *rows, ""]))
    task = {"kind": "csv", "path": "both.csv", "targets": "load", "inputs": "heat", "window": 4}
    with run(spec(tasks=[task])) as results:
        (tmp_path / "both.csv").unlink()
        (warning,) = (note for note in results.compare().notes if "past" in note)
        page = results.report(tmp_path / "report.html").read_text()
    assert warning.startswith(
        "csv: The past of 'load' is not an input, for the networks and the baseline autoregression"
    )
    assert "From both.csv. Training from 1, validation from 64, test from 77 to 90." in page
    assert page.count("The past of &#39;load&#39; is not an input") == 2  # with the answers, and with the source


def test_a_forecast_of_several_series_is_drawn_and_judged_from_the_store(tmp_path: Path) -> None:
    rows = [f"{shop},{k},{(k + 2 * number) % 5}" for number, shop in enumerate("ab") for k in range(60)]
    (tmp_path / "shops.csv").write_text("\n".join(["shop,step,load", *rows, ""]))
    task = {"kind": "forecast", "path": "shops.csv", "targets": "load", "group": "shop", "time": "step", "window": 4}
    with run(spec(tasks=[{**task, "scale": "group"}])) as results:
        (tmp_path / "shops.csv").unlink()
        data = ComparisonData(results.store, job=1)
        (forecast,) = data.forecasts().values()
        assert forecast.chart.series == (("a", 9), ("b", 9)) and forecast.chart.scale.shape == (18, 1)
        assert next(iter(forecast.predictions.values())).shape == (18, 1)
        assert "measured, a" in data.page("store")
