"""The budget that fits into a given time."""

from __future__ import annotations

from typing import Any

import pytest

from evornn.errors import EvornnError
from evornn.experiments import affordable
from evornn.experiments.affordable import Pace, choose_budget, measure_pace
from evornn.experiments.spec import parse_spec, plan

SPEC: dict[str, Any] = {
    "name": "own",
    "tasks": [{"kind": "adding", "length": 10, "train": 100, "valid": 20, "test": 20}],
    "networks": [{"kind": "elman", "units": 2}],
    "trainers": [{"kind": "adam"}, {"kind": "cma_es", "batch": 10}],
    "seeds": 1,
    "budget": {"steps": 10**9, "marks": 4},
}


@pytest.mark.parametrize(
    ("seconds", "per_step", "seeds", "steps"),
    [(100.0, 1e-6, 7, 10_000_000), (100.0, 2e-4, 3, 120_000), (10.0, 1e-4, 1, 70_000), (20.0, 1e-3, 1, 14_000)],
)
def test_it_fits_into_the_time(
    monkeypatch: pytest.MonkeyPatch, seconds: float, per_step: float, seeds: int, steps: int
) -> None:
    monkeypatch.setattr(affordable, "measure_pace", lambda *_: Pace(per_step, 0.4))
    budget = choose_budget(SPEC, seconds, cores=2)
    assert budget.seconds <= seconds and budget.seeds == seeds
    assert 0.9 * steps <= budget.steps <= 1.1 * steps or budget.steps == 20_000 * 1000
    chosen = budget.apply(SPEC)
    assert chosen["budget"] == {"steps": budget.steps, "marks": 4} and SPEC["budget"]["steps"] == 10**9
    parse_spec(chosen)


def test_too_little_time_says_how_much_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(affordable, "measure_pace", lambda *_: Pace(1.0, 0.4))
    with pytest.raises(EvornnError, match=r"give \d+ more minutes"):
        choose_budget(SPEC, 60.0, cores=1)


def test_a_run_is_measured_for_a_moment() -> None:
    (adam, _) = plan(parse_spec(SPEC))
    pace = measure_pace(adam, 4)
    assert 0 < pace.per_step < 1e-2 and pace.fixed >= affordable.OVERHEAD
