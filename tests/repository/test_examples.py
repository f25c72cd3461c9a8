"""The examples of architectures: they are specs, and their runs become tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import examples
from evornn.experiments.spec import parse_spec, plan
from evornn.experiments.yaml import read
from evornn.store.store import open_store


@pytest.mark.parametrize("name", examples.names())
def test_an_example_is_a_spec_of_ten_seeds_that_says_what_it_shows(name: str) -> None:
    path = examples.FOLDER / f"{name}.yaml"
    spec = read(path)
    assert spec["name"].replace(" ", "_") == name
    assert len({run.seed for run in plan(parse_spec(spec))}) >= 10
    assert len(examples.purpose(path)) > 40


def test_the_example_of_own_data_asks_all_questions() -> None:
    """The files are the reader's, so that its runs can be planned and not computed."""
    plans = plan(parse_spec(read(Path(__file__).parents[2] / "examples" / "own_data.yaml")))
    kinds = [run.fragments["task"]["kind"] for run in plans]
    assert list(dict.fromkeys(kinds)) == ["forecast", "classify", "regress", "label", "language"]
    assert len(plans) == 5 * 2 * 2 * 5


def test_the_committed_page_has_the_sentences_of_today() -> None:
    page = examples.PAGE.read_text()
    assert page.startswith(examples.HEAD)
    assert list(examples.sections(page)) == [examples.title(name) for name in examples.names()]
    assert [n for n in examples.names() if f"\n{examples.purpose(examples.FOLDER / f'{n}.yaml')}\n" not in page] == []


def test_runs_become_a_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "examples" / "architectures"
    folder.mkdir(parents=True)
    spec = (examples.FOLDER / "associative_memories.yaml").read_text()
    (folder / "associative_memories.yaml").write_text(
        spec.replace("seeds: 10", "seeds: 2").replace("steps: 4_000_000", "steps: 40_000")
    )
    monkeypatch.setattr(examples, "ROOT", tmp_path)
    monkeypatch.setattr(examples, "FOLDER", folder)
    monkeypatch.setattr(examples, "PAGE", tmp_path / "examples.md")
    store = f"sqlite:///{tmp_path}/examples.db"
    assert examples.main(["associative_memories", "--store", store, "--workers", "0"]) == 0
    assert "| hopfield | snes |" in capsys.readouterr().out
    assert examples.main(["associative_memories", "--store", store, "--workers", "0"]) == 0  # nothing is computed twice
    with open_store(store) as opened:
        assert len(opened.runs()) == 2 * 2 * 3 * 2
    assert examples.main(["--page", "--store", store]) == 0
    page = (tmp_path / "examples.md").read_text()
    assert "$ evornn run examples/architectures/associative_memories.yaml" in page
    assert "Test loss of the baselines: itself: mean" in page


def test_failed_runs_are_no_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = (examples.FOLDER / "associative_memories.yaml").read_text()
    (tmp_path / "associative_memories.yaml").write_text(spec.replace("steps: 4_000_000", "steps: 1_000"))
    monkeypatch.setattr(examples, "FOLDER", tmp_path)
    asked = ["associative_memories", "--quick", "--store", f"sqlite:///{tmp_path}/examples.db", "--workers", "0"]
    assert examples.main(asked) == 1
    assert "12 runs failed" in capsys.readouterr().err


def test_an_unknown_example_is_refused_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert examples.main(["recursiv"]) == 1
    assert "recursive" in capsys.readouterr().err
