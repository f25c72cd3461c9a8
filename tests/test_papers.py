"""Published tables: every line is a spec that runs, figures and verdicts are those of the definition, and the command
goes on where it was."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from benchmarks.papers import __main__ as command
from benchmarks.papers import page, running
from benchmarks.papers.figures import FIGURES, evaluations, score, share_solved, verdict
from benchmarks.papers.section import NAMES, Line, Section, section
from evornn.cli.progress import progress
from evornn.errors import UnknownName
from evornn.experiments.execute import check_plans
from evornn.experiments.spec import experiment, plan
from evornn.experiments.statistics import Interval
from evornn.store.records import StoredRun
from evornn.store.store import open_store

INF = float("inf")


def run(**changes: object) -> StoredRun:
    names = StoredRun.__dataclass_fields__
    return StoredRun(**{**dict.fromkeys(names), "id": 1, "state": "succeeded", **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("quick", [False, True], ids=["whole", "quick"])
def test_every_line_is_an_experiment_that_fits_together(name: str, quick: bool) -> None:
    found = section(name, quick)
    assert found.figure in FIGURES and found.departures and found.lines
    assert len({line.name for line in found.lines}) == len(found.lines)
    for line in found.lines:
        plans = plan(experiment(line.spec))
        assert all(parameters > 0 for parameters in check_plans(plans[:1]))
        assert len(plans) <= 4 if quick and name != "narma" else len(plans) >= 10


def test_quick_is_smaller() -> None:
    whole, quick = section("poles"), section("poles", quick=True)
    for long, short in zip(whole.lines, quick.lines, strict=True):
        assert short.spec["budget"]["steps"] < long.spec["budget"]["steps"] / 50 and short.spec["seeds"] == 2


def test_an_unknown_section_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="poles"):
        section("pole")


def test_figures() -> None:
    runs = [run(evaluations=100, solved=True), run(evaluations=300, solved=False), run(evaluations=200, solved=True)]
    assert evaluations(runs).value == 300
    assert evaluations(runs).low < 300 < evaluations(runs).high
    assert evaluations(runs[1:2]).value == INF
    assert share_solved(runs).value == pytest.approx(2 / 3)
    assert score([run(test_score=0.2), run(test_score=0.4)]) == Interval(pytest.approx(0.3), 0.2, 0.4)


@pytest.mark.parametrize(
    ("figure", "ours", "published", "tolerance", "expected"),
    [
        ("evaluations", Interval(100, 80, 190), 100, 2, "reproduced"),
        ("evaluations", Interval(150, 80, 210), 100, 2, "open"),
        ("evaluations", Interval(300, 201, 400), 100, 2, "not reproduced"),
        ("evaluations", Interval(INF, INF, INF), 100, 2, "not reproduced"),
        ("score", Interval(0.353, 0.34, 0.36), 0.388, 0.2, "reproduced"),
        ("score", Interval(0.5, 0.3, 0.6), 0.388, 0.2, "not reproduced"),
        ("share_solved", Interval(0.98, 0.95, 1), 1.0, 0.05, "reproduced"),
        ("share_solved", Interval(0.9, 0.8, 1), 1.0, 0.05, "open"),
        ("share_solved", Interval(0.5, 0.4, 0.6), 1.0, 0.05, "not reproduced"),
        ("score", Interval(0.5, 0.3, 0.6), None, 0.2, "–"),
    ],
)
def test_verdicts(figure: str, ours: Interval, published: float | None, tolerance: float, expected: str) -> None:
    assert verdict(figure, ours, published, tolerance) == expected


def test_the_command_keeps_its_runs_and_writes_them_down(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    small = _small()
    monkeypatch.setattr(command, "section", lambda name, quick: small)
    arguments = ["poles", "--store", f"sqlite:///{tmp_path}/papers.db", "--workers", "0"]
    assert command.main(arguments) == 0 and command.main(arguments) == 0
    assert "balance" in capsys.readouterr().out
    with open_store(arguments[2]) as store:
        assert len(store.jobs()) == 1, "the second call had nothing to do"
        found = running.measured(small, store)
        assert [m.runs for m in found] == [2, 0] and found[0].ours is not None
        assert [m.verdict for m in found] == ["reproduced", "not run"], "the long line is left out"
        text = page.markdown(small, found, running.environments(small, store))
    assert "| balance | 5,000 |" in text and "| 2 | 2 | reproduced |" in text and "| long |" in text


def test_a_changed_line_is_computed_anew(tmp_path: Path) -> None:
    small = _small()
    with open_store(f"sqlite:///{tmp_path}/papers.db") as store:
        running.run(small, store, 0, partial(progress, quiet=True), full=False)
        line = small.lines[0]
        changed = replace(small, lines=(replace(line, spec={**line.spec, "seeds": 3}),))
        assert running.measured(changed, store)[0].verdict == "not run"


def test_sections_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--list"]) == 0
    listed = capsys.readouterr().out
    assert all(f"{name} " in listed for name in NAMES)
    assert command.main(["pole"]) == 1
    assert "poles" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        command.main([])


def _small() -> Section:
    spec = {
        "name": "poles: balance",
        "tasks": [{"kind": "single_pole", "velocities": True}],
        "networks": [{"kind": "feed_forward", "units": 2}],
        "trainers": [{"kind": "cma_es"}],
        "seeds": 2,
        "budget": {"steps": 30_000_000, "target": 0, "marks": 5},
    }
    long = {**spec, "name": "poles: long"}
    lines = (Line("balance", 5000, spec), Line("long", 10, long, full=True))
    return Section("poles", "Poles", "Somebody 2000", "evaluations", "evaluations", 2, ("none",), lines)
