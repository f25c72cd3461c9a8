"""A run is computed on the data and with the code that it was submitted with, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import evornn
from evornn import library
from evornn.errors import EvornnError
from evornn.experiments.execute import check_plans, load_task
from evornn.experiments.identity import code_digest
from evornn.experiments.spec import parse_spec, plan
from evornn.service.reading.results import Results
from evornn.tasks.core.identity import data_digest

CELL = """
from evornn.cell import Cell
from evornn.ops import tanh
from evornn.settings import settings

@settings
class Mine(Cell):
    def step(self, w, x, h):
        return tanh(w.h(x, h))
"""


@pytest.fixture
def series(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write(path := tmp_path / "series.csv", seed=0)
    return path


def write(path: Path, seed: int, rows: int = 200) -> None:
    values = np.random.default_rng(seed).standard_normal(rows).cumsum()
    path.write_text("load\n" + "\n".join(f"{value:.4f}" for value in values) + "\n")


def spec(**changes: Any) -> dict[str, Any]:
    return {
        "name": "identity",
        "tasks": [{"kind": "csv", "path": "series.csv", "targets": ["load"], "window": 4}],
        "networks": [{"kind": "elman", "units": 2}],
        "trainers": [{"kind": "snes", "population": 4}],
        "seeds": 2,
        "budget": {"steps": 20_000, "marks": 2},
        **changes,
    }


@pytest.fixture
def results(series: Path) -> Iterator[Results]:
    with evornn.run(spec(), store="sqlite:///runs.db", workers=0) as results:
        yield results


def test_every_run_knows_its_data(results: Results, series: Path) -> None:
    (digest,) = {run.data_digest for run in results.store.runs()}
    assert digest == data_digest(load_task({"kind": "csv", "path": "series.csv", "targets": ["load"], "window": 4})[1])
    (row,) = results.query("SELECT DISTINCT data_digest, code_digest FROM results").to_dict("records")
    assert row == {"data_digest": digest, "code_digest": None}
    write(series, seed=1)
    assert data_digest(load_task({"kind": "csv", "path": "series.csv", "targets": ["load"], "window": 4})[1]) != digest


def test_other_data_are_refused_by_resume_and_by_workers(results: Results, series: Path) -> None:
    job = results.submit(spec(seeds=1))
    write(series, seed=1)
    refusal = "series.csv on this machine differs from what this run was submitted with"
    with pytest.raises(EvornnError, match=refusal):
        evornn.resume(store="sqlite:///runs.db", job=job, workers=0)
    library.work(results.service.store, job, 0, None, library.SilentListener())  # as a dispatcher elsewhere does
    (run,) = results.store.runs(job=job)
    assert run.state == "failed" and run.failures == 1 and refusal in str(run.error)
    write(series, seed=0)
    with evornn.resume(store="sqlite:///runs.db", job=job, workers=0) as resumed:
        (run,) = resumed.store.runs(job=job)
        assert run.state == "succeeded"


def test_code_of_ones_own_is_part_of_it(tmp_path: Path, series: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_identity_cell.py").write_text(CELL)
    (run, _) = plan(parse_spec(spec(networks=[{"kind": "my_identity_cell:Mine", "units": 2}])))
    (facts,) = {check_plans([run])[0]}
    assert facts.identity.code == code_digest(run.fragments) is not None
    (tmp_path / "my_identity_cell.py").write_text(CELL + "# changed\n")
    assert code_digest(run.fragments) != facts.identity.code
    assert code_digest({"network": {"kind": "elman"}, "loss": "mse"}) is None


@pytest.mark.parametrize(
    "task",
    [{"kind": "double_pole"}, {"kind": "adding", "length": 12, "train": 4, "valid": 2, "test": 2}, {"kind": "walker"}],
    ids=lambda task: task["kind"],
)
def test_equal_data_have_equal_digests_and_other_settings_others(task: dict[str, Any]) -> None:
    first, again = (load_task({**task})[1] for _ in range(2))
    assert data_digest(first) == data_digest(again)
    other = {"double_pole": {"steps": 2_000}, "adding": {"length": 13}, "walker": {"sensor": True}}[task["kind"]]
    assert data_digest(load_task({**task, **other})[1]) != data_digest(first)


def test_old_runs_have_no_digest_and_are_computed(results: Results) -> None:
    from evornn.experiments.execute import execute
    from evornn.experiments.identity import RunIdentity

    (run, _) = plan(parse_spec(spec()))
    assert list(execute(run.fragments, 0, run.budget, identity=RunIdentity()))[-1].result is not None
    with pytest.raises(EvornnError, match=r"^series\.csv on this machine differ"):
        list(execute(run.fragments, 0, run.budget, identity=RunIdentity(data="0" * 32)))


def test_a_rounding_error_of_statistics_is_no_other_data(series: Path) -> None:
    """Machines may add up a mean in another order; the measured series stays the same."""
    data = load_task(spec()["tasks"][0])[1]
    assert data.chart is not None
    other = replace(data.chart, scale=np.nextafter(data.chart.scale, 9), naive_errors=data.chart.naive_errors * 1.0001)
    assert data_digest(replace(data, chart=other)) == data_digest(data)
    shifted = replace(data.chart, truth=np.nextafter(data.chart.truth, 9))
    assert data_digest(replace(data, chart=shifted)) != data_digest(data)
