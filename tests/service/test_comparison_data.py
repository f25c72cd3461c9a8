"""What is compared belongs together: settings, data and losses, whatever the labels say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import evornn
from evornn.errors import EvornnError
from evornn.networks.network import Network
from evornn.service.reading.results import Results

STORE = "sqlite:///runs.db"


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


def test_edited_data_give_no_baselines_and_a_note(tmp_path: Path) -> None:
    with run(spec()) as results:
        write(tmp_path / "series.csv", np.arange(200.0))
        comparison = results.compare()
    assert any("csv: its data have changed since the runs were submitted" in note for note in comparison.notes)
    assert not comparison.tasks[0].chosen or not comparison.tasks[0].chosen.verdicts


def test_a_file_that_is_gone_is_named_and_the_runs_are_compared(tmp_path: Path) -> None:
    with run(spec()) as results:
        (tmp_path / "series.csv").unlink()
        comparison = results.compare()
    assert comparison.tasks[0].cells[0].runs == 2
    assert any(note.startswith("csv: its data can't be read here") for note in comparison.notes)


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
    ],
)
def test_losses_that_the_data_cannot_have_are_refused(loss: str, problem: str) -> None:
    with pytest.raises(EvornnError, match=problem):
        run(spec(loss=loss))
    network = Network("elman", inputs=1, units=2, outputs=1)
    x, y = np.zeros((2, 5, 1)), np.full((2, 5, 1), -1.5)
    with pytest.raises(EvornnError, match=problem):
        network.losses(network.sample(2, 0), x, y, loss=loss)
    with pytest.raises(EvornnError, match=problem):
        network.gradients(network.sample(2, 0), x, y, loss=loss)
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
