"""evornn as a library, used as the README says."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import evornn
from evornn.cards import card
from evornn.errors import EvornnError
from evornn.tasks import TASKS
from evornn.tasks.adding import Adding
from evornn.trainers.adam import Adam
from evornn.trainers.cma_es import CMAES

ADDING = {"kind": "adding", "length": 10, "train": 20, "valid": 5, "test": 5}
SPEC: dict[str, Any] = {
    "name": "small",
    "tasks": [ADDING],
    "networks": [{"kind": "elman", "units": 3}, {"kind": "lstm", "units": 2, "label": "small lstm"}],
    "trainers": [{"kind": "snes", "population": 4}],
    "seeds": 2,
    "budget": {"steps": 20_000, "marks": 5},
}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('library')}/evornn.db"
    with evornn.run(SPEC, store=url, workers=0) as results:
        assert [job.state for job in results.jobs()] == ["succeeded"]
    return url


def test_a_network_in_numbers() -> None:
    network = evornn.Network("lstm", inputs=2, units=4, outputs=1)
    inputs, targets = np.random.default_rng(0).random((3, 7, 2), np.float32), np.zeros((3, 7, 1), np.float32)
    genomes = network.sample(count=5, seed=0)
    assert genomes.shape == (5, network.n)
    losses, gradients = network.gradients(genomes, inputs, targets)
    np.testing.assert_allclose(network.losses(genomes, inputs, targets), losses, rtol=1e-5)
    assert gradients.shape == genomes.shape and network.predict(genomes, inputs).shape == (5, 3, 7, 1)


@pytest.mark.parametrize(
    ("task", "trainer", "budget"),
    [
        (ADDING, "snes", 20_000),
        (
            Adding(length=10, train=20, valid=5, test=5),
            {"kind": "adam", "batch": 5},
            evornn.Budget(steps=20_000, marks=5),
        ),
        (Adding(length=10, train=20, valid=5, test=5).data(), Adam(learning_rate=0.1), 20_000),
    ],
)
def test_training_one_network(task: Any, trainer: Any, budget: Any) -> None:
    network = evornn.Network("elman", inputs=2, units=3, outputs=1)
    trained, again = (evornn.train(network, task, trainer, seed=1, budget=budget) for _ in range(2))
    assert trained.genome.shape == (network.n,) and trained.genome.tobytes() == again.genome.tobytes()
    curve = trained.curve()
    assert list(curve["mark"])[-1] == trained.rows[-1].mark and curve["champion_valid"].is_monotonic_decreasing
    assert trained.result.valid_loss == curve["champion_valid"].iloc[-1]
    data = Adding(length=10, train=20, valid=5, test=5).data()
    test = network.losses(trained.genome[None], data.test.inputs, data.test.targets, mask=data.test.mask)[0]
    assert trained.result.test_loss == pytest.approx(float(test), rel=1e-6)


def test_what_a_store_gives_back(url: str) -> None:
    with evornn.open(url) as results:
        runs = results.runs()
        assert len(runs) == 4 and set(runs["state"]) == {"succeeded"} and len(results.runs(job=1)) == 4
        run = results.run(3)
        assert run.record.network in ("elman", "small lstm") and run.genome.shape == (run.network.n,)
        test = run.data.test
        loss = run.network.losses(run.genome[None], test.inputs, test.targets, mask=test.mask)[0]
        assert run.result.test_loss == pytest.approx(float(loss), rel=1e-5)
        assert list(run.curve()["mark"]) == [1, 2, 3, 4, 5] and "sigma" in run.curve()
        best = results.query("SELECT run, test_loss FROM results ORDER BY test_loss LIMIT 1")
        assert best["test_loss"][0] == runs["test_loss"].min()


def test_a_run_of_the_store_is_what_training_gives(url: str) -> None:
    with evornn.open(url) as results:
        run = results.run(1)
        trained = evornn.train(
            evornn.Network("elman", inputs=2, units=3, outputs=1),
            ADDING,
            SPEC["trainers"][0],
            seed=run.record.seed,
            budget=evornn.Budget(**SPEC["budget"]),
        )
        assert trained.genome.tobytes() == run.genome.tobytes()


def test_comparison_and_report(url: str, tmp_path: Path) -> None:
    with evornn.open(url) as results:
        assert [task.task for task in results.compare().tasks] == ["adding"]
        page = results.report(tmp_path / "report.html", job=1)
        assert "small lstm" in page.read_text()


def test_going_on(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/evornn.db"
    with evornn.run({**SPEC, "budget": 50}, store=url, workers=0) as results:
        assert results.jobs()[0].counts == {"failed": 4}
        with pytest.raises(EvornnError, match="run 1"):
            _ = results.run(1).genome
    with evornn.resume(url, workers=0) as results:
        assert results.jobs()[0].counts == {"failed": 4}


def test_a_warm_start(url: str) -> None:
    warm = {
        **SPEC,
        "name": "warm",
        "networks": SPEC["networks"][:1],
        "seeds": 1,
        "start_from": {"run": 1, "spread": 1e-6},
    }
    with evornn.run(warm, store=url, workers=0) as results:
        (run,) = results.runs(job=results.jobs()[0].id).itertuples()
        assert run.state == "succeeded"
        assert np.abs(results.run(run.id).genome - results.run(1).genome).max() < 1e-4
    other = {**warm, "networks": SPEC["networks"][1:]}
    with pytest.raises(EvornnError, match=r"start_from: run 1 has the network .*start from a run of the same network"):
        evornn.run(other, store=url, workers=0)
    with evornn.open(url) as results:
        assert results.jobs()[0].experiment == "warm" and len(results.jobs()) == 2


def test_importing_is_light() -> None:
    code = (
        "import sys, evornn\n"
        "heavy = ('torch', 'numpy', 'pandas', 'ray', 'sqlalchemy', 'numba', 'pydantic')\n"
        "assert not [name for name in heavy if name in sys.modules]\n"
        "assert evornn.Network.__name__ == 'Network' and 'torch' in sys.modules\n"
        "assert not [name for name in ('ray', 'evotorch', 'plotly') if name in sys.modules]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_people_see_in_a_notebook(url: str) -> None:
    """Each object says what it is in a line, and as HTML, in which names from outside are only text."""
    network = evornn.Network("elman", inputs=2, units=3, outputs=1)
    trained = evornn.train(network, ADDING, "snes", budget=20_000)
    with evornn.open(url) as results:
        run, comparison = results.run(1), results.compare(1)
        things = [network, trained, trained.model, results, run, run.model, comparison]
        texts, pages = [repr(thing) for thing in things], [thing._repr_html_() for thing in things]
    assert all(len(line) < 400 for text in texts for line in text.splitlines())
    assert texts[0] == "<elman 2→3→1, 22 parameters>" and texts[1].startswith("<TrainingResult elman 2→3→1, 22 param")
    assert texts[4] == "<RunResults 1: adding, elman, snes, seed 0, succeeded>"
    assert "all 4 runs succeeded" in texts[-1] and "<p>" in pages[-1]
    assert "<svg" in pages[1] and "<svg" in pages[4] and all(page.startswith("<div><strong>") for page in pages)
    assert "<b>&<" not in card("<b>&</b>", {"<i>": "<u>"}) and "&lt;u&gt;" in card("", {"a": "<u>"})


def test_predicting_without_knowing_populations(url: str, tmp_path: Path) -> None:
    network = evornn.Network("elman", 2, 3, 1)
    trained = evornn.train(network, ADDING, "snes", budget=20_000)
    inputs = trained.data.test.inputs
    outputs = trained.predict(inputs)
    assert np.array_equal(outputs, network.predict(trained.genome[None], inputs)[0])
    assert np.array_equal(trained.predict(inputs[0]), outputs[0])
    with pytest.raises(EvornnError, match="not about a table: give inputs"):
        trained.predict(pd.DataFrame({"x": [1.0]}))
    with pytest.raises(EvornnError, match="next and coverage need columns"):
        trained.predict(inputs, next=2)
    with evornn.open(url) as results:
        assert results.run(1).predict(inputs).shape == outputs.shape


def test_frames_in_and_frames_out(tmp_path: Path) -> None:
    days = pd.date_range("2026-01-01", periods=90)
    frame = pd.DataFrame({"day": days, "load": np.sin(np.arange(90) / 4) + 2, "shop": ["a", "b", "c"] * 30})
    frame.to_csv(tmp_path / "load.csv", index=False)
    task = {"kind": "forecast", "path": str(tmp_path / "load.csv"), "targets": "load", "time": "day", "window": 6}
    inputs, outputs = TASKS.build(task).data().sizes
    run = evornn.train(evornn.Network("gru", inputs, 3, outputs), task, "adam", budget=5_000)
    run.model.save(tmp_path / "load.safetensors")
    model = evornn.load(tmp_path / "load.safetensors")
    ahead = run.predict(frame, next=2, coverage=0.8)
    assert list(ahead.columns) == ["ahead", "load", "load_low", "load_high"] and len(ahead) == 2
    pd.testing.assert_frame_equal(ahead, model.predict(frame, next=2, coverage=0.8))
    pd.testing.assert_frame_equal(model.predict(frame), model.predict(tmp_path / "load.csv"))
    assert model.evaluate(frame)["load"]["rmse"] == model.evaluate(tmp_path / "load.csv")["load"]["rmse"]
    with pytest.raises(EvornnError, match="no column 'load'"):
        model.predict(frame.drop(columns="load"))


def test_other_libraries_words_are_answered_with_ours() -> None:
    for wrong, right in [("hidden_size", "units"), ("num_layers", "layers"), ("input_size", "inputs")]:
        with pytest.raises(EvornnError, match=f"unknown setting of network '{wrong}': did you mean '{right}'"):
            evornn.Network("lstm", inputs=2, outputs=1, **{wrong: 3})
    with pytest.raises(EvornnError, match="setting of trainer 'lr': did you mean 'learning_rate'"):
        evornn.train(evornn.Network("gru", 1, 2, 1), "sunspots", {"kind": "adam", "lr": 0.1})
    with pytest.raises(EvornnError, match="setting of CMAES 'popsize': did you mean 'population'"):
        CMAES(popsize=4)  # type: ignore[call-arg]
    with pytest.raises(EvornnError, match=r"network\.outputs: is missing: say how many"):
        evornn.Network("lstm", inputs=2, units=8)
    with pytest.raises(EvornnError, match=r"^Adam\.learning_rate: must be above 0, got -1$"):
        Adam(learning_rate=-1)


def test_a_torch_module_is_a_network() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
    run = evornn.train(module, ADDING, "adam", budget=5_000)
    assert run.network.n == 17 and run.network.cell.causal
    assert run.predict(run.data.test.inputs).shape == run.data.test.targets.shape
    both = torch.nn.LSTM(1, 3, batch_first=True, bidirectional=True, proj_size=0)
    with pytest.raises(EvornnError, match="your module"):
        evornn.Network(both, inputs=1, outputs=1)


def test_names_that_are_not_there() -> None:
    assert dir(evornn) == sorted([*evornn.__all__, "__version__"])
    assert evornn.__version__ == version("evornn")
    with pytest.raises(AttributeError, match="no attribute 'Netwrok'"):
        _ = evornn.Netwrok
    assert all(getattr(evornn, name) for name in evornn.__all__)
