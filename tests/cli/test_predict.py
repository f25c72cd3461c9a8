"""`evornn model`, `predict` and `evaluate` on a run of a store: the numbers of `show`, and mistakes in one line."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pandas
import pytest
from command_line import CommandLine
from small_models import small_model

import evornn as library
from evornn.data import encoding
from evornn.models.predict import concatenate
from evornn.models.standalone import StandaloneModel
from evornn.models.table_file import read_parts
from evornn.store.schema import evaluation_data
from evornn.store.store import open_store

ROWS, WINDOW = 200, 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a finished forecast, its data, and the rows that judge its test."""
    folder = tmp_path_factory.mktemp("forecast")
    rng, steps = np.random.default_rng(0), np.arange(ROWS)
    load = 50 + 20 * np.sin(steps / 6) + rng.normal(0, 1, ROWS)
    days = pandas.date_range("2024-01-01", periods=ROWS).strftime("%Y-%m-%d")
    frame = pandas.DataFrame({"note": "a, b", "day": days, "load": load})
    frame.to_csv(folder / "load.csv", index=False)
    frame.iloc[round(0.85 * ROWS) - WINDOW :].to_csv(folder / "test.csv", index=False)
    task = {"kind": "csv", "path": str(folder / "load.csv"), "targets": ["load"], "date": "day"}
    spec = {
        "name": "load",
        "tasks": [{**task, "window": WINDOW, "horizon": 2}],
        "networks": [{"kind": "gru", "units": 4}],
        "trainers": [{"kind": "adam"}],
        "seeds": 1,
        "budget": {"steps": 20_000, "marks": 2},
    }
    library.run(spec, store=f"sqlite:///{folder}/evornn.db", workers=0).close()
    return folder


@pytest.fixture
def model(folder: Path, evornn: CommandLine) -> Path:
    answer = evornn("model", "1", folder / "model.safetensors", "--store", f"sqlite:///{folder}/evornn.db", "--json")
    assert answer.data["parameters"] > 0 and answer.data["network"]["kind"] == "gru"
    return folder / "model.safetensors"


def read(text: str) -> pandas.DataFrame:
    return pandas.read_csv(io.StringIO(text))


@pytest.mark.parametrize("suffix", ["onnx", "py", "c", "json", "safetensors"])
def test_a_models_file_becomes_any_other(suffix: str, model: Path, folder: Path, evornn: CommandLine) -> None:
    answer = evornn("model", model, file := folder / f"load.{suffix}", "--json")
    assert answer.data["file"] == str(file) and answer.data["inputs"] == 1
    assert "run" not in answer.data and file.stat().st_size > 0
    compared = answer.data["difference"]
    assert (compared is not None and compared < 1e-5) == (suffix in ("onnx", "py", "c"))
    assert "No such file" in evornn.refuses("model", folder / "none.safetensors", file)


def test_evaluate_writes_a_report_and_its_numbers(model: Path, folder: Path, evornn: CommandLine) -> None:
    page = folder / "report.html"
    data = evornn("evaluate", model, folder / "test.csv", "--report", page, "--json").data
    assert "What the model reads" in page.read_text() and data["report"] == str(page)
    (load,) = data["numbers"]
    assert load["by_horizon"][1]["coverage"] is not None and data["importance"][0]["column"] == "load"
    assert data["measures"] == evornn("evaluate", model, folder / "test.csv", "--json").data["measures"]
    assert "report written to" in evornn("evaluate", model, folder / "test.csv", "--report", page).out


def test_an_interrupted_report_ends_in_one_line(
    model: Path, folder: Path, evornn: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("evornn.models.importance.shuffle", interrupted)
    answer = evornn("evaluate", model, folder / "test.csv", "--report", folder / "never.html")
    assert (answer.status, answer.err) == (130, "interrupted: no report was written\n")
    assert not (folder / "never.html").exists()


def test_progress_of_a_report_is_told(
    model: Path, folder: Path, evornn: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evornn.cli.report_progress.PRINT_INTERVAL", -1.0)
    words = "evaluate", model, folder / "test.csv", "--report", folder / "told.html"
    told = [line for line in evornn(*words).out.splitlines() if line.startswith("report: ")]
    assert "answers" in told[0] and "importance of load" in told[-1] and told[-1].endswith("left")
    assert "report: " not in evornn(*words, "--json").out


def test_evaluate_says_what_show_says(model: Path, folder: Path, evornn: CommandLine) -> None:
    run = evornn("show", "1", "--store", f"sqlite:///{folder}/evornn.db", "--json").data
    answer = evornn("evaluate", model, folder / "test.csv", "--json").data
    assert answer["measures"] == run["forecast_errors"] == answer["test"]
    shown = evornn("evaluate", model, folder / "test.csv").out
    assert "RMSE" in shown and "its test split" in shown


def test_predict_at_every_row_beyond_the_end_and_as_a_stream(
    model: Path, folder: Path, evornn: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = read(evornn("predict", model, folder / "load.csv", "--coverage", "0.5").out)
    assert len(rows) == ROWS - WINDOW + 1 and rows["day"].iloc[-1] == "2024-07-18"
    assert (rows["load+2_low"] < rows["load+2"]).all() and (rows["load+2"] < rows["load+2_high"]).all()
    ahead = read(evornn("predict", model, folder / "load.csv", "--next", "5").out)
    assert ahead["ahead"].tolist() == [1, 2, 3, 4, 5]
    assert ahead["load"][:2].tolist() == rows[["load+1", "load+2"]].iloc[-1].tolist()
    monkeypatch.setattr("sys.stdin", io.StringIO((folder / "load.csv").read_text()))
    stream = read(evornn("predict", model, "--stream").out)
    assert len(stream) == ROWS and stream["load+1"].isna().sum() == WINDOW - 1
    assert np.allclose(stream["load+1"].dropna(), rows["load+1"], rtol=1e-6)


def test_a_registered_model_is_named_like_a_file(folder: Path, evornn: CommandLine) -> None:
    store = ("--store", f"sqlite:///{folder}/evornn.db")
    assert "no models yet: keep that of a run" in evornn("models", "ls", *store).out
    said = evornn("models", "register", "load", "1", "--note", "first", "--alias", "production", *store)
    assert said.out == "registered as load:1, alias production\n"
    evornn("models", "download", "load@production", "load.safetensors", *store)
    assert evornn("models", "register", "load", "load.safetensors", *store).out == "registered as load:2\n"
    listed = evornn("models", "ls", *store, "--json").data
    assert [(one["version"], one["aliases"], one["run"]) for one in listed] == [(2, [], None), (1, ["production"], 1)]
    assert "load:1" in evornn("models", "ls", *store).out
    shown = evornn("models", "show", "load:1", *store).out
    assert all(word in shown for word in ("forecast load +2", "errors of load", "RMSE", "first", "90 % intervals held"))
    by_name = evornn("predict", "load@production", folder / "load.csv", "--next", "3", "--coverage", "0.8", *store)
    assert (
        by_name.out
        == evornn("predict", "load.safetensors", folder / "load.csv", "--next", "3", "--coverage", "0.8").out
    )
    assert "RMSE" in evornn("evaluate", "load", folder / "test.csv", *store).out
    assert "load@production is load:2 now" in evornn("models", "alias", "load:2", "production", *store).out
    refused = evornn.refuses("models", "delete", "load:2", *store)
    assert "the alias production means load:2" in refused and f"--remove {store[0]} {store[1]}`" in refused
    assert "has no alias production any more" in evornn("models", "alias", "load", "production", "--remove", *store).out
    assert evornn("models", "delete", "load:2", *store).out == "load:2 deleted\n"
    assert "no model lod: `evornn models ls" in evornn.refuses("predict", "lod", folder / "load.csv", *store)


def test_predict_to_a_file_and_as_json(model: Path, folder: Path, evornn: CommandLine, tmp_path: Path) -> None:
    printed = evornn("predict", model, folder / "load.csv")
    assert evornn("predict", model, folder / "load.csv", "-o", tmp_path / "out.csv", "--json").data["lines"] == 189
    assert (tmp_path / "out.csv").read_text() == printed.out
    lines = [json.loads(line) for line in evornn("predict", model, folder / "load.csv", "--json").out.splitlines()]
    assert [line["load+1"] for line in lines] == read(printed.out)["load+1"].tolist()


def test_mistakes(model: Path, folder: Path, evornn: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "short.csv").write_text("load\n1\n2\n")
    assert "2 rows, and a forecast reads 12" in evornn.refuses("predict", model, "short.csv")
    (tmp_path / "other.csv").write_text("lod\n1\n")
    assert "other.csv: no column 'load': did you mean 'lod'?" in evornn.refuses("predict", model, "other.csv")
    (tmp_path / "text.csv").write_text("load\n1\nx\n")
    assert (
        "text.csv, line 3, column 'load': 'x' is not a number, which the model reads here: correct the file"
        in evornn.refuses("evaluate", model, "text.csv")
    )
    (tmp_path / "hole.csv").write_text("load\n" + "1\n" * 20 + '""\n1\n')
    assert "hole.csv, line 22, column 'load': no finite number: fill it in" in evornn.refuses(
        "predict", model, "hole.csv"
    )
    (tmp_path / "empty.csv").write_text("")
    assert "empty.csv: empty file" in evornn.refuses("predict", model, "empty.csv")
    (tmp_path / "ragged.csv").write_text("load\n1\n2,3\n4,5,6\n")
    assert "ragged.csv, line 4, column 'load': '4,5,6' is no number" in evornn.refuses("predict", model, "ragged.csv")
    assert "no such file in" in evornn.refuses("predict", model, "none.csv")
    assert "give either a FILE or --stream" in evornn.refuses("predict", model)
    assert "give either a FILE or --stream" in evornn.refuses("predict", model, "short.csv", "--stream")
    assert "damaged: download it again" in evornn.refuses("predict", folder / "load.csv", "short.csv")
    assert "can't write" in evornn.refuses("predict", model, folder / "load.csv", "-o", "none/out.csv")


def test_a_stream_that_is_wrong_says_which_line(
    model: Path, evornn: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for text, line in (("1\nx\n", 2), ("day,load\n1\n", 2), ("1\n\n", 2)):
        monkeypatch.setattr("sys.stdin", io.StringIO(text))
        answer = evornn("predict", model, "--stream")
        assert answer.status == 1 and answer.err == f"error: line {line}: give the values of load, as in 1.5,2\n"


def test_categories_of_a_stream(evornn: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_model("classify").save(tmp_path / "kind.safetensors")
    monkeypatch.setattr("sys.stdin", io.StringIO("day,temp,load\nmo,-10000,50\nfr,-10001,60\n"))
    frame = read(evornn("predict", tmp_path / "kind.safetensors", "--stream").out)
    assert list(frame.columns) == ["kind", "kind=a", "kind=b", "kind=c"] and set(frame["kind"]) <= set("abc")
    stream = small_model("classify").stream()
    expected = [stream.step(values) for values in ([50, -10000, 1], [60, -10001, 0])]
    assert np.allclose(frame.iloc[:, 1:], expected)


def test_a_file_is_read_in_portions(model: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    preparation = StandaloneModel.load(model).own_preparation
    whole = concatenate(list(read_parts(folder / "load.csv", preparation)))
    assert whole.names == ("load", "day")  # what it doesn't need is not read
    monkeypatch.setattr(encoding, "FIRST", 1000)
    monkeypatch.setattr(encoding, "BLOCK", 1000)
    parts = list(read_parts(folder / "load.csv", preparation))
    assert len(parts) > 1
    assert concatenate(parts).column("load").values.tolist() == whole.column("load").values.tolist()
    assert concatenate(parts).lines.tolist() == list(range(2, ROWS + 2))


def test_what_earlier_versions_kept_is_enough_where_the_data_are(
    folder: Path, evornn: CommandLine, tmp_path: Path
) -> None:
    """A store without a preparation; then without the data as well."""
    url = f"sqlite:///{folder}/evornn.db"
    with open_store(url) as store, store.write_transaction() as connection:
        (plain,) = connection.scalars(evaluation_data.select().with_only_columns(evaluation_data.c.plain))
        assert plain["preparation"]["window"] == WINDOW
        old = {name: value for name, value in plain.items() if name != "preparation"}
        connection.execute(evaluation_data.update().values(plain=old))
    try:
        evornn("model", "1", tmp_path / "old.safetensors", "--store", url)
        old_model = StandaloneModel.load(tmp_path / "old.safetensors")
        assert old_model.own_preparation.window == WINDOW and old_model.calibration is not None
        (folder / "load.csv").rename(folder / "moved.csv")
        evornn("model", "1", tmp_path / "bare.safetensors", "--store", url)
        assert StandaloneModel.load(tmp_path / "bare.safetensors").preparation is None
    finally:
        (folder / "moved.csv").rename(folder / "load.csv")
        with open_store(url) as store, store.write_transaction() as connection:
            connection.execute(evaluation_data.update().values(plain=plain))
