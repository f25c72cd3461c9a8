"""`evornn fit`: from a file to a verdict and a model; what it asks, keeps and refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from command_line import CommandLine

import evornn as library
from evornn.cli import fit as command
from evornn.data.doubts import UnansweredDoubt
from evornn.experiments import affordable
from evornn.experiments.affordable import AffordableBudget
from evornn.experiments.own_data import OwnData
from evornn.models.standalone import StandaloneModel

LINES = [f"{day:02}/{month:02}/2020,{np.sin(day):.3f}\n" for month in range(1, 10) for day in range(1, 13)]
FIT = "fit", "load.csv", "--target", "load", "--workers", "0"


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(affordable, "choose_budget", lambda *_: AffordableBudget(1, 20_000, 1.0, 1))
    path = tmp_path / "load.csv"
    path.write_text("step,load\n" + "".join(f"{k},{np.sin(k):.3f}\n" for k in range(120)))
    return path


def test_a_verdict_and_a_model_that_works(evornn: CommandLine, file: Path) -> None:
    answer = evornn(*FIT)
    assert answer.status == 0, answer
    for words in ("120 rows", "forecast load", "Chosen on validation data", "95 % interval", "The best baseline is"):
        assert words in answer.out
    spec = yaml.safe_load(Path("load.yaml").read_text())
    assert spec["seeds"] == 1 and len(spec["networks"]) == 4 and len(spec["trainers"]) == 3
    model = StandaloneModel.load("load.safetensors")
    assert f"run {model.provenance.run}, " in answer.out
    for line in (line.split("evornn ", 1)[1].split() for line in answer.out.splitlines() if "evornn " in line):
        assert evornn(*line).status == 0, line

    again = evornn(*FIT, "--json").data  # the same job, without one run more
    assert again["job"] == 1 and again["model"] == "load.safetensors" and again["verdict"][0] in answer.out
    assert len(evornn("ls", "1", "--json").data) == 12

    file.write_text(file.read_text() + "120,0.5\n")  # other data are another job
    assert evornn(*FIT, "--json").data["job"] == 2


def test_quantiles_are_asked_for(evornn: CommandLine, file: Path) -> None:
    answer = evornn(*FIT, "--quantiles", "0.1,0.5,0.9")
    assert answer.status == 0, answer
    assert yaml.safe_load(Path("load.yaml").read_text())["tasks"][0]["quantiles"] == [0.1, 0.5, 0.9]
    answers = StandaloneModel.load("load.safetensors").own_preparation.answers
    assert [one.name for one in answers] == ["load_q0.1", "load_q0.5", "load_q0.9"]
    for line in (line.split("evornn ", 1)[1].split() for line in answer.out.splitlines() if "evornn " in line):
        assert evornn(*line).status == 0, line
    for wrong in ("0.9,0.1", "x", "0,1", "0.5)"):
        assert "give levels between 0 and 1, in order" in evornn.refuses(*FIT, "--quantiles", wrong)
    Path("kinds.csv").write_text(
        "who,load,kind\n" + "".join(f"{k // 6},{k % 5},{'ab'[k // 6 % 2]}\n" for k in range(120))
    )
    words = "fit", "kinds.csv", "--target", "kind", "--group", "who", "--quantiles", "0.5"
    assert "quantiles are of numbers" in evornn.refuses(*words)


def test_it_goes_on_where_it_was_interrupted(evornn: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    from evornn.service.dispatch.dispatcher import Dispatcher

    start = Dispatcher._start

    def interrupted(self: Dispatcher, claim: object) -> None:
        start(self, claim)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Dispatcher, "_start", interrupted)
        answer = evornn(*FIT)
    assert answer.status == 130 and "the same command goes on" in answer.err and "Traceback" not in answer.err
    assert evornn(*FIT, "--json").data["job"] == 1


def test_other_files_are_never_replaced(evornn: CommandLine) -> None:
    Path("load.yaml").write_text("name: mine\n")
    assert "load.yaml: is there already and is another spec: name a new file" in evornn.refuses(*FIT)
    Path("load.safetensors").write_text("mine")
    assert "load.safetensors: is there already and is something else" in evornn.refuses(*FIT, "--spec", "s.yaml")
    assert Path("load.yaml").read_text() == "name: mine\n" and not Path("s.yaml").exists()


def test_without_a_terminal_a_question_names_its_option(evornn: CommandLine) -> None:
    Path("days.csv").write_text("day,load\n01/02/2020,1\n02/02/2020,2\n")
    error = evornn.refuses("fit", "days.csv", "--target", "load")
    assert "is the first number the day or the month?  --dates day_first  or  --dates month_first" in error
    assert "name the column to predict with --target: step (forecast), load (forecast)" in evornn.refuses(
        "fit", "load.csv"
    )


def test_on_a_terminal_it_asks_once(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("days.csv").write_text("day,load\n" + "".join(LINES))
    asked: list[str] = []
    monkeypatch.setattr("typer.prompt", lambda text, **_: asked.append(text) or 1)
    with pytest.raises(UnansweredDoubt, match="days after the row before"):  # a second question is not asked
        command._ask(OwnData("days.csv", ("load",)), can_ask=True)
    own, facts, spec = command._ask(OwnData("days.csv", ("load",), time="none"), can_ask=True)
    assert len(asked) == 2 and own.options.dates == "day_first" and facts.rows == 108
    assert spec["tasks"][0]["read"] == {"dates": "day_first"}


def test_a_frame_in_python() -> None:
    frame = pd.DataFrame({"when": pd.date_range("2020", periods=120, freq="h"), "load": np.sin(np.arange(120.0))})
    found = library.fit(frame, "load", workers=0)
    assert found.job == 1 and found.sentences[0].startswith("Gradient is ahead with a median test loss of")
    assert found.model.own_preparation.answers[0].column == "load" and found.spec["tasks"][0]["time"] == "when"
    assert len(list(Path.cwd().glob("frame-*.csv"))) == 1 and found.best_baseline is not None
    assert library.fit(frame, ["load"], workers=0).job == 1
