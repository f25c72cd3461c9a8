"""Published tables: every line is a spec that runs, figures and verdicts are those of the definition, and the command
goes on where it was."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from chorale_files import write_chorales

from benchmarks.papers import __main__ as command
from benchmarks.papers import page, running
from benchmarks.papers.claims import Claim, evaluate_claims
from benchmarks.papers.figures import (
    FIGURES,
    best_score,
    evaluations,
    evaluations_until_right,
    score,
    share_solved,
)
from benchmarks.papers.rules import RULES, verdict
from benchmarks.papers.section import NAMES, Line, Section, section
from evornn.errors import UnknownName
from evornn.experiments.analysis.statistics import Interval
from evornn.experiments.execute import check_plans
from evornn.experiments.spec import parse_spec, plan
from evornn.service.progress import progress
from evornn.store.records import StoredRun
from evornn.store.store import open_store

INF = float("inf")


def run(**changes: object) -> StoredRun:
    names = StoredRun.__dataclass_fields__
    return StoredRun(**{**dict.fromkeys(names), "id": 1, "state": "succeeded", **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("quick", [False, True], ids=["whole", "quick"])
def test_every_line_is_an_experiment_that_fits_together(
    name: str, quick: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = section(name, quick)
    names = [line.name for line in found.lines]
    assert found.figure in FIGURES and found.reproduced in RULES and found.departures and names
    assert len(set(names)) == len(names)
    assert {name for claim in found.claims for name in (claim.higher, claim.lower)} <= set(names)
    assert [line.is_ready for line in found.lines] == [line.file is None for line in found.lines]
    write_chorales("JSB_Chorales.mat")
    for line in found.lines:
        assert line.is_ready
        plans = plan(parse_spec(line.spec))
        assert all(facts.parameters > 0 for facts in check_plans(plans[:1]))
        assert len(plans) <= 4 if quick and name != "narma" else len(plans) >= (3 if name == "jsb" else 10)


@pytest.mark.parametrize("name", NAMES)
def test_the_committed_page_has_the_sentences_of_today(name: str) -> None:
    text, listed = (Path(__file__).parents[2] / "docs" / "results" / "papers.md").read_text(), section(name)
    assert text.startswith(page.HEAD)
    assert f"\n## {name}: {listed.title}\n\n{listed.source}. " in text
    assert RULES[listed.reproduced].meaning.format(listed.tolerance) in text
    assert [departure for departure in listed.departures if f"\n- {departure}\n" not in text] == []


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
    ended = [run(evaluations=100, solved=False, stopped_by="solved"), run(evaluations=300, stopped_by="budget")]
    assert evaluations_until_right(ended).value == 400 and evaluations(ended).value == INF
    assert share_solved(runs).value == pytest.approx(2 / 3)
    assert score([run(test_score=0.2), run(test_score=0.4)]) == Interval(pytest.approx(0.3), 0.2, 0.4)
    assert best_score([run(test_score=0.2), run(test_score=0.4)]) == Interval(0.4, 0.2, 0.4)


@pytest.mark.parametrize(
    ("rule", "ours", "published", "tolerance", "expected"),
    [
        ("not_worse", Interval(100, 80, 190), 100, 2, "reproduced"),
        ("not_worse", Interval(150, 80, 210), 100, 2, "open"),
        ("not_worse", Interval(300, 201, 400), 100, 2, "not reproduced"),
        ("not_worse", Interval(INF, INF, INF), 100, 2, "not reproduced"),
        ("within", Interval(0.353, 0.34, 0.36), 0.388, 0.2, "reproduced"),
        ("within", Interval(0.5, 0.3, 0.6), 0.388, 0.2, "not reproduced"),
        ("not_rarer", Interval(0.98, 0.95, 1), 1.0, 0.05, "reproduced"),
        ("not_rarer", Interval(0.9, 0.8, 1), 1.0, 0.05, "open"),
        ("not_rarer", Interval(0.5, 0.4, 0.6), 1.0, 0.05, "not reproduced"),
        ("within", Interval(0.5, 0.3, 0.6), None, 0.2, "–"),
        ("reached", Interval(0.6, 0.55, 0.62), 0.55, 0, "reproduced"),
        ("reached", Interval(0.6, 0.5, 0.62), 0.55, 0, "open"),
        ("reached", Interval(0.5, 0.4, 0.54), 0.55, 0, "not reproduced"),
        ("claims", Interval(0.5, 0.4, 0.6), 0.5, 0, "–"),
    ],
)
def test_verdicts(rule: str, ours: Interval, published: float | None, tolerance: float, expected: str) -> None:
    assert verdict(rule, ours, published, tolerance) == expected


def test_claims_are_tested_on_the_runs_of_two_lines() -> None:
    """Ten runs each: the best p of Mann–Whitney is about 1e-5, and Holm's correction triples the smallest."""
    runs = {
        name: [run(test_score=base + k / 1000) for k in range(10)]
        for name, base in (("high", 0.9), ("near", 0.899), ("low", 0.5))
    }
    claims = [Claim("high", "low", 0.3), Claim("high", "near"), Claim("low", "near"), Claim("high", "not run")]
    found = evaluate_claims(claims, runs)
    assert [j.verdict for j in found] == ["reproduced", "open", "not reproduced"]
    assert found[0].p == found[2].p < 1e-3 < 0.05 < found[1].p
    assert evaluate_claims([Claim("high", "low", 0.41)], runs)[0].verdict == "not reproduced"
    assert evaluate_claims([], runs) == []


def test_a_score_that_can_not_be_is_no_reproduction(tmp_path: Path) -> None:
    small = replace(_small(), figure="best_score", reproduced="reached", bound=99_999)
    with open_store(f"sqlite:///{tmp_path}/papers.db") as store:
        running.run(small, store, 0, partial(progress, quiet=True), full=False)
        assert running.measure(small, [store])[0].verdict == "beyond what is possible"
        possible = replace(small, bound=100_000)
        assert running.measure(possible, [store])[0].verdict == "reproduced"


@pytest.mark.parametrize("state", ["failed", "cancelled", "queued"])
def test_a_line_is_not_judged_by_the_runs_that_are_left(state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    solving = [run(solved=True, evaluations=1)] * 3
    for others, said in (([], "reproduced"), ([run(state=state)], "not complete")):
        monkeypatch.setattr(running, "_stored_runs", lambda line, stores, runs=(*solving, *others): (None, runs))
        found, _ = running.measure(_small(), [])
        assert (found.verdict, found.ours is None) == (said, bool(others))


def test_the_page_takes_each_line_from_the_store_that_has_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    small, urls = _small(), [f"sqlite:///{tmp_path}/{name}.db" for name in ("none", "first")]
    claimed = replace(small, claims=(Claim("balance", "balance", -1),))
    monkeypatch.setattr(command, "section", lambda name, quick: claimed)
    open_store(urls[0]).close()
    assert command.main(["poles", "--store", urls[1], "--workers", "0"]) == 0
    assert "balance above balance by more than -1 (p = " in capsys.readouterr().out
    assert command.main(["poles", "--page", "--store", urls[0], "--store", urls[1]]) == 0
    text = capsys.readouterr().out
    assert "| balance | 5,000 |" in text and "Order (Mann–Whitney" in text and "not run yet" not in text


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
        found = running.measure(small, [store])
        assert [m.runs for m in found] == [2, 0] and found[0].ours is not None
        assert [m.verdict for m in found] == ["reproduced", "not run"], "the long line is left out"
        text = page.markdown(small, found, [], running.environments(small, [store]))
    assert "| balance | 5,000 |" in text and "| 2 | 2 | reproduced |" in text and "| long |" in text


def test_a_changed_line_is_computed_anew(tmp_path: Path) -> None:
    small = _small()
    with open_store(f"sqlite:///{tmp_path}/papers.db") as store:
        running.run(small, store, 0, partial(progress, quiet=True), full=False)
        line = small.lines[0]
        changed = replace(small, lines=(replace(line, spec={**line.spec, "seeds": 3}),))
        assert running.measure(changed, [store])[0].verdict == "not run"


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
    return Section("poles", "Poles", "Somebody 2000", "evaluations", "not_worse", "evaluations", ("none",), lines, 2)
