"""`evornn data`: what it prints, what it asks, what it writes."""

import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from evornn.cli.app import app
from evornn.errors import EvornnError
from evornn.experiments.execute import execute
from evornn.experiments.spec import parse_spec, plan
from evornn.experiments.yaml import read as read_spec

LOAD = "time;load\n" + "".join(f"{day:02}.01.2020;{day % 7},5\n" for day in range(1, 31))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "load.csv").write_text(LOAD)
    (tmp_path / "days.csv").write_text("time,load\n01/02/2020,1\n02/02/2020,2\n")
    return tmp_path


def run(*words: str) -> str:
    result = CliRunner().invoke(app, ["data", *words])
    if isinstance(result.exception, EvornnError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_it_says_what_it_understood() -> None:
    output = run("load.csv")
    for words in ("semicolon", "30", "time, every 1 day", "2020-01-30", "▁", "forecast"):
        assert words in output
    assert "Questions" not in output


def test_doubts_are_questions_with_the_options_that_answer_them() -> None:
    assert "--dates day_first or --dates month_first" in " ".join(run("days.csv").split())
    assert "Questions" not in run("days.csv", "--dates", "day_first")


def test_json_has_the_same() -> None:
    facts = json.loads(run("days.csv", "--json"))
    assert facts["rows"] == 2 and facts["spec"] is None
    assert facts["doubts"][0]["answers"][0] == {"option": "dates", "value": "day_first"}


def test_it_writes_the_spec() -> None:
    run("load.csv", "--target", "load", "--spec", "load.yaml")
    task = yaml.safe_load(Path("load.yaml").read_text())["tasks"][0]
    assert task == {"kind": "forecast", "path": "load.csv", "targets": ["load"], "time": "time", "window": 5}


def odd_series() -> list[str]:
    """A semicolon, decimal commas, German dates, a gap, a title."""
    days = [date(2020, 1, 1) + k * timedelta(days=1) for k in range(150)]
    rows = [f"{day:%d.%m.%Y};{k % 7},5;{'' if k == 40 else k % 5}" for k, day in enumerate(days)]
    Path("odd.csv").write_text("\n".join(["Titel", "tag;last;wind", *rows, ""]))
    return ["odd.csv", "--target", "last", "--skip", "1", "--fill", "mask", "--kind", "wind=number", "--time", "tag"]


def folder_of_classes() -> list[str]:
    """Recordings in a folder, and a table of their classes beside them, whose numbers are names."""
    Path("f").mkdir()
    for k in range(12):
        Path(f"f/r{k}.csv").write_text("x,y\n" + "".join(f"{k % 2 * 2 - 1}.5,{t}.25\n" for t in range(4)) + ",\n")
    Path("f/about.csv").write_text("name,class\n" + "".join(f"r{k},{k % 2}\n" for k in range(12)))
    return ["f", "--target", "class", "--kind", "class=category"]


@pytest.mark.parametrize("case", [odd_series, folder_of_classes])
def test_the_very_spec_that_it_writes_is_trained(case: Callable[[], list[str]]) -> None:
    run(*case(), "--spec", "spec.yaml")
    runs = plan(parse_spec(read_spec("spec.yaml")))
    assert len(runs) == 4 * 3 * 3
    by_trainer = {one.trainer: one for one in runs}  # the last network's
    for one in by_trainer.values():
        *_, last = execute(one.fragments, one.seed, {"steps": 200_000, "marks": 1})
        assert last.result is not None and np.isfinite(last.result.valid_loss)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["load.csv", "--spec", "s.yaml"], "--spec needs a target"),
        (["days.csv", "--target", "load"], "is the first number the day"),
        (["load.csv", "--decimal", "x"], "decimal is 'x': give"),
        (["load.csv", "--kind", "load"], "--kind load: give a column and its kind"),
        (["load.csv", "--kind", "load=word"], "unknown kind of column load: 'word'"),
        (["load.csv", "--separator", "::"], "separator is '::': give one character"),
        (["load.csv", "--kind", "lod=number"], "no column 'lod'"),
        (["load.csv", "--group", "house"], "no column 'house'"),
        (["nothing.csv"], "no such file"),
    ],
)
def test_a_wrong_command_line_is_one_line(words: list[str], problem: str) -> None:
    with pytest.raises(EvornnError, match=problem):
        run(*words)
    assert not Path("s.yaml").exists()


def test_options_say_how_to_read() -> None:
    Path("odd.txt").write_text("Title\na|b\n1|x\n?|y\n")
    output = run("odd.txt", "--skip", "1", "--separator", "|", "--kind", "b=text", "--missing", "1", "--names", "c,b")
    assert "text" in output and "c " in output
