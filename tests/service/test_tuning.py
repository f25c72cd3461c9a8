"""Tuning: ranges are read or refused with a reason, every method gets the same, and a tuning that was broken off goes
on to the same end."""

from __future__ import annotations

import copy
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import CommandLine
from hypothesis import given, settings
from hypothesis import strategies as st
from tuning_spec import RATE, TUNING_SPEC, final_runs

from evornn import library
from evornn.errors import EvornnError
from evornn.experiments import ranges
from evornn.experiments.ranges import Choices, Numbers
from evornn.experiments.spec import parse_spec
from evornn.experiments.tuning.sampler import Sampler
from evornn.experiments.tuning.tunable_spec import parse_tunable_spec
from evornn.library import SilentListener
from evornn.service.tuning.tuner import Tuner
from evornn.store.records import StoredRun
from evornn.store.store import Store, open_store


def changed(**fields: Any) -> dict[str, Any]:
    return {**copy.deepcopy(TUNING_SPEC), **fields}


def trainer(**fields: Any) -> dict[str, Any]:
    return changed(trainers=[{"kind": "adam", **fields}])


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    url = f"sqlite:///{tmp_path_factory.mktemp('store')}/evornn.db"
    library.tune(TUNING_SPEC, store=url, workers=0).close()
    with open_store(url) as store:
        yield store


# Ranges


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.sampled_from([None, "linear", "log"]))
def test_a_range_is_read_or_refused_with_its_reason(low: float, high: float, scale: str | None) -> None:
    written = {"from": low, "to": high, **({} if scale is None else {"scale": scale})}
    if low < high and (scale != "log" or low > 0):
        assert ranges.parse_range(written, "x") == Numbers(low, high, scale == "log")
    else:
        with pytest.raises(EvornnError, match=r"^x.*(below|above 0)"):
            ranges.parse_range(written, "x")


@settings(max_examples=25)
@given(st.integers(1, 1000), st.integers(1, 1000), st.booleans(), st.booleans(), st.integers(0, 2**31))
def test_what_is_drawn_lies_in_its_range(low: int, span: int, log: bool, whole: bool, seed: int) -> None:
    part = Numbers(low, low + span, log, whole)
    sampler = Sampler({"x": part, "y": Choices(("a", None))}, seed, trials=6)
    for k in range(6):
        number, values = sampler.ask()
        assert part.low <= values["x"] <= part.high and values["y"] in ("a", None)
        assert isinstance(values["x"], int) or not whole
        sampler.tell(number, float("inf") if k % 2 else float(k))


def test_a_sampler_asks_by_what_it_was_told() -> None:
    def asked(best: float) -> list[float]:
        sampler, found = Sampler({"x": Numbers(0.0, 1.0)}, seed=0, trials=40), []
        for _ in range(40):
            number, values = sampler.ask()
            found.append(values["x"])
            sampler.tell(number, abs(values["x"] - best))
        return found

    assert asked(0.3) == asked(0.3)
    assert asked(0.3)[:10] == asked(0.8)[:10]
    assert sum(asked(0.3)[20:]) / 20 < 0.5 < sum(asked(0.8)[20:]) / 20


def test_whole_numbers_stay_whole_and_others_do_not() -> None:
    space = parse_tunable_spec(trainer(learning_rate={"from": 1, "to": 2}, batch={"from": 1e1, "to": 20}))
    with pytest.raises(EvornnError):
        parse_tunable_spec(trainer(learning_rate={"from": -1, "to": 1}))
    (method,) = space.methods
    assert method.space["trainer.batch"] == Numbers(10, 20, is_integer=True)
    assert not method.space["trainer.learning_rate"].is_integer  # type: ignore[union-attr]
    assert method.space["network.units"] == Numbers(2, 5, is_integer=True)


def test_ranges_may_stand_inside_parts_and_lists() -> None:
    inside = {"kind": "memetic", "evolve": {"kind": "snes"}, "refine": {"kind": "adam", "learning_rate": RATE}}
    listed = {"kind": "adam", "betas": [{"from": 0.5, "to": 0.99, "default": 0.9}, 0.999]}
    first, second = parse_tunable_spec(changed(trainers=[inside, listed])).methods
    assert "learning_rate" not in first.fragments["trainer"]["refine"]
    assert first.set({"trainer.refine.learning_rate": 0.5})["trainer"]["refine"]["learning_rate"] == 0.5
    assert second.fragments["trainer"]["betas"] == [0.9, 0.999]
    assert second.set({"trainer.betas.0": 0.6})["trainer"]["betas"] == [0.6, 0.999]
    assert second.values(second.set({"trainer.betas.0": 0.6, "network.units": 3})) == {
        "trainer.betas.0": 0.6,
        "network.units": 3,
    }


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (trainer(learning_rate={"from": 1, "to": 0.1}), "trainers.0.learning_rate: from must be below to"),
        (trainer(learning_rate={"from": 0, "to": 1, "scale": "log"}), "learning_rate.from: must be above 0 on a log"),
        (trainer(learning_rate={"from": 0.1}), "trainers.0.learning_rate.to: is missing"),
        (trainer(learning_rate={**RATE, "form": 1}), "unknown part of the range .*'form': did you mean 'from'"),
        (trainer(learning_rate={**RATE, "scale": "logg"}), "did you mean 'log'"),
        (trainer(learning_rate={"from": "a", "to": 1}), "must be a number, got 'a'; choose"),
        (trainer(learning_rate={"from": -1, "to": 1}), "trainers.0.learning_rate: can't have -1 in its range"),
        (trainer(batch={"from": 0.5, "to": 4}), "trainers.0.batch: can't have 0.5 in its range"),
        (trainer(batch={"choose": [4]}), "must be a list of two values or more"),
        (trainer(batch={"choose": [4, 4]}), "has a value twice"),
        (trainer(batch={"choose": [4, "many"]}), "can't have 'many' in its range"),
        (trainer(schedule={"from": 1, "to": 2}), "trainers.0.schedule: can't have 1 in its range"),
        (trainer(learning_rat=RATE), "did you mean 'learning_rate'"),
        (trainer(betas=[RATE, 0.9]), "trainers.0.betas.0: is an entry of a list.*default: VALUE"),
        (changed(trainers=[{"kind": {"choose": ["adam", "sgd"]}}]), "trainers.0.kind: can't be a range: list each"),
        (changed(tasks=[{"kind": "csv", "path": {"choose": ["a", "b"]}}]), "tasks.0.path: has no default"),
        (
            changed(trainers=[{"kind": "adam", "learning_rate": RATE}, {"kind": "adam", "batch": RATE}]),
            "in the spec twice",
        ),
        (changed(networks=[{"kind": "elman"}], trainers=[{"kind": "adam"}]), "no setting is a range"),
        (changed(tuning={}), "tuning.trials: Field required"),
        (changed(tuning={"trial": 3}), "did you mean 'trials'"),
        (changed(tuning={"trials": 3, "budget": {"steps": 0}}), "tuning.budget.steps"),
        (changed(tuning={"trials": 10_000, "seeds": 100}), "tuning.trials: would make"),
        ({k: v for k, v in TUNING_SPEC.items() if k != "tuning"}, "tuning: is missing from the spec"),
    ],
)
def test_what_is_wrong_is_said(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(EvornnError, match=message):
        parse_tunable_spec(spec)


def test_regularisation_is_tuned_for_each_method() -> None:
    decay = {"from": 1e-6, "to": 1e-2, "scale": "log"}
    spec = changed(regularisation={"weight_decay": decay, "input_noise": 0.25})
    methods = parse_tunable_spec(spec).methods
    assert all(isinstance(method.space["regularisation.weight_decay"], Numbers) for method in methods)
    assert all(method.fragments["regularisation"]["weight_decay"] == 0 for method in methods)
    alone = parse_tunable_spec(changed(regularisation={"weight_decay": decay})).methods[0]
    values = {name: 0.5 if name.startswith("reg") else 1 for name in alone.space}
    set_ = alone.set(values)
    assert set_["regularisation"] == {"weight_decay": 0.5, "input_noise": 0.0, "dropout": 0.0}
    assert alone.values(set_) == values and "regularisation" not in alone.fragments
    chosen = parse_tunable_spec(changed(regularisation={"dropout": {"choose": [0.1, 0.5], "default": 0.2}}))
    assert chosen.methods[0].fragments["regularisation"]["dropout"] == 0.2
    for wrong, message in (
        ({"weight_decay": {"from": -1, "to": 1}}, "regularisation.weight_decay: can't have -1 in its range"),
        ({"dropout": {"choose": [0.5, 1.0]}}, "regularisation.dropout: can't have 1.0 in its range"),
        ({"decay": decay}, "'decay'"),
    ):
        with pytest.raises(EvornnError, match=re.escape(message)):
            parse_tunable_spec(changed(regularisation=wrong))
    one = {**TUNING_SPEC, "networks": [{"kind": "elman"}], "trainers": [{"kind": "adam"}]}
    with pytest.raises(EvornnError, match=r"regularisation.weight_decay: is a range: `evornn tune`"):
        parse_spec({**one, "regularisation": {"weight_decay": decay}})


def test_trials_differ_in_regularisation_and_the_best_is_compared(tmp_path: Path) -> None:
    spec = {
        **TUNING_SPEC,
        "networks": [{"kind": "elman", "units": 3}],
        "trainers": [{"kind": "adam"}],
        "regularisation": {"weight_decay": {"from": 1e-6, "to": 1e-1, "scale": "log"}},
        "tuning": {**TUNING_SPEC["tuning"], "trials": 3, "seeds": 1},
    }
    with library.tune(spec, f"sqlite:///{tmp_path}/x.db", workers=0) as results:
        runs = results.store.runs()
    decays = [run.fragments.get("regularisation", {}).get("weight_decay") for run in runs]
    trials = {decay for run, decay in zip(runs, decays, strict=True) if "trial" in run.trainer}
    assert len(trials) == 3 and None not in trials
    assert {d for run, d in zip(runs, decays, strict=True) if run.trainer == "adam"} == {None}
    (best,) = {d for run, d in zip(runs, decays, strict=True) if run.trainer == "adam (tuned)"}
    assert best in trials


def test_a_label_that_a_tuned_trainer_would_have_is_refused() -> None:
    spec = changed(trainers=[{"kind": "adam", "batch": {"from": 2, "to": 4}}, {"kind": "sgd", "label": "adam (tuned)"}])
    with pytest.raises(EvornnError, match="choose another label"):
        parse_tunable_spec(spec)


def test_whoever_runs_ranges_is_told_of_tune() -> None:
    with pytest.raises(EvornnError, match=r"networks.0.units: is a range: `evornn tune`"):
        parse_spec({key: value for key, value in TUNING_SPEC.items() if key != "tuning"})
    one = {**TUNING_SPEC, "networks": [{"kind": "elman"}], "trainers": [{"kind": "adam"}]}
    with pytest.raises(EvornnError, match=r"tuning: is for `evornn tune`"):
        parse_spec(one)


# Fairness


def test_every_method_gets_the_same(unbroken: Store) -> None:
    runs = unbroken.runs(experiment="small (tuning)")
    for name in ("adam", "snes"):
        mine = [run for run in runs if run.trainer.startswith(name)]
        assert len(mine) == 5 * 2 and len({run.trainer for run in mine}) == 5
        assert {run.budget["steps"] for run in mine} == {4_000}
    assert len({run.seed for run in runs}) == 2


def test_the_comparison_is_on_fresh_seeds_with_the_whole_budget(unbroken: Store) -> None:
    final = unbroken.runs(experiment="small")
    assert [run.trainer for run in final[:4]] == ["adam", "adam (tuned)", "snes", "snes (tuned)"]
    assert {run.budget["steps"] for run in final} == {8_000}
    assert {run.seed for run in final} == {0, 1}
    assert not {run.seed for run in final} & {run.seed for run in unbroken.runs(experiment="small (tuning)")}


def test_tuning_seeds_avoid_those_of_the_comparison() -> None:
    taken = parse_tunable_spec(TUNING_SPEC).seeds
    assert not set(parse_tunable_spec(changed(seeds=list(taken))).seeds) & set(taken)


def test_what_is_found_is_the_trial_with_the_lowest_validation_loss(unbroken: Store) -> None:
    from evornn.service.service import Service

    comparison = Service(unbroken).compare()
    assert [(t.network, t.trainer, t.trials, t.runs) for t in comparison.tuned] == [
        ("elman", "adam", 5, 10),
        ("elman", "snes", 5, 10),
    ]
    for found in comparison.tuned:
        runs = [r for r in unbroken.runs(experiment="small (tuning)") if r.trainer.startswith(found.trainer)]
        assert found.network_steps == sum(run.network_steps or 0 for run in runs)
        losses: dict[str, list[float]] = {}
        for run in runs:
            losses.setdefault(run.trainer, []).append(float(run.valid_loss or 0))
        means = {name: sum(pair) / 2 for name, pair in losses.items()}
        assert found.valid == pytest.approx(min(means.values()))
        assert means[f"{found.trainer}, trial {found.best}"] == pytest.approx(found.valid)
        tuned = next(run for run in unbroken.runs(experiment="small") if run.trainer == f"{found.trainer} (tuned)")
        assert tuned.fragments["network"]["units"] == found.settings["network.units"]


def test_a_tuned_task_is_another_task() -> None:
    spec = changed(tasks=[{**TUNING_SPEC["tasks"][0], "length": {"from": 10, "to": 20, "default": 15}}])
    found = parse_tunable_spec(spec)
    plans = found.comparison({method.labels: {"task.length": 17} for method in found.methods})
    lengths = {plan.task: plan.fragments["task"]["length"] for plan in plans}
    assert lengths == {
        "adding": 15,
        "adding (tuned for elman, adam)": 17,
        "adding (tuned for elman, snes)": 17,
    }


def test_settings_that_do_not_fit_together_are_drawn_again(tmp_path: Path) -> None:
    """Each is fine beside the others' defaults; together most are not, and every method still gets all its trials."""
    blocks = {"kind": "lstm_1997", "units": {"from": 3, "to": 9}, "block_size": {"choose": [1, 2, 4]}}
    url = f"sqlite:///{tmp_path}/evornn.db"
    with library.tune(changed(networks=[blocks]), store=url, workers=0) as results:
        tried = [run.fragments["network"] for run in results.store.runs(experiment="small (tuning)")]
    assert len(tried) == 2 * 5 * 2 and all(network["units"] % network["block_size"] == 0 for network in tried)


def test_ranges_in_which_nothing_fits_are_said(tmp_path: Path) -> None:
    blocks = {"kind": "lstm_1997", "units": {"from": 9, "to": 11, "default": 8}, "block_size": {"choose": [4, 8]}}
    with open_store(f"sqlite:///{tmp_path}/evornn.db") as store:
        jobs = Tuner(store, changed(networks=[blocks])).jobs()
        with pytest.raises(EvornnError, match=r"100 draws in a row don't fit together: .* multiple of block_size"):
            next(jobs)


# Going on


class BreaksOff(SilentListener):
    """An interrupt after so many runs."""

    def __init__(self, after: int) -> None:
        self.left = after

    def on_end(self, run: StoredRun, state: str, reason: str) -> None:
        if state == "succeeded":
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt


@pytest.mark.parametrize("after", [0, 5, 11, 22])
def test_a_tuning_that_was_broken_off_comes_to_the_same_end(after: int, unbroken: Store, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/evornn.db"
    with pytest.raises(KeyboardInterrupt), open_store(url) as store:
        tuner, listener = Tuner(store, TUNING_SPEC), BreaksOff(after)
        with library.job_dispatcher(store, 0, None) as work:
            for job in tuner.jobs():
                work(job, listener)
            work(tuner.comparison(), listener)
    library.tune(TUNING_SPEC, store=url, workers=0).close()
    with open_store(url) as store:
        assert final_runs(store) == final_runs(unbroken)


def test_the_same_again_computes_nothing(unbroken: Store) -> None:
    before = unbroken.runs()
    library.tune(TUNING_SPEC, store=unbroken.display_url, workers=0).close()
    assert unbroken.runs() == before


def test_cancelled_runs_go_on(unbroken: Store, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/evornn.db"
    with open_store(url) as store:
        job = next(Tuner(store, TUNING_SPEC).jobs())
        store.cancel(job)
        with pytest.raises(EvornnError, match=r"run 1 of the tuning is cancelled: the same `evornn tune` resumes it"):
            jobs = Tuner(store, TUNING_SPEC).jobs()
            store.cancel(next(jobs))
            next(jobs)
    library.tune(TUNING_SPEC, store=url, workers=0).close()
    with open_store(url) as store:
        assert final_runs(store) == final_runs(unbroken)


def test_a_tuning_that_went_another_way_is_not_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_store(f"sqlite:///{tmp_path}/evornn.db") as store:
        next(Tuner(store, TUNING_SPEC).jobs())
        monkeypatch.setattr("evornn.experiments.tuning.sampler.DIGITS", 2)
        with pytest.raises(EvornnError, match="took another course"):
            next(Tuner(store, TUNING_SPEC).jobs())


# The command


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(TUNING_SPEC, sort_keys=False))
    return tmp_path / "spec.yaml"


def test_the_command_tunes_compares_and_reports(evornn: CommandLine, spec: Path) -> None:
    answer = evornn("tune", spec, "--workers", "0", "--report", "tuned.html")
    assert answer.status == 0, answer.err
    assert "tuning: 10 of 10 trials" in answer.out and "adam (tuned)" in answer.out
    assert "learning_rate" in answer.out
    page = (evornn.folder / "tuned.html").read_text()
    assert "<h2>Tuning</h2>" in page and "evornn tune experiment.yaml" in page
    again = evornn("tune", spec, "--workers", "0", "--json")
    assert [found["trials"] for found in again.data["tuned"]] == [5, 5]
    assert "evornn tune" in evornn.refuses("run", spec)


@pytest.mark.slow
def test_killed_it_goes_on_to_the_same_end(spec: Path, unbroken: Store, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/evornn.db"
    code = "from evornn.cli import main; main()"
    command = [sys.executable, "-c", code, "tune", str(spec), "--workers", "0", "--store", url, "--json"]
    for wanted in (1, 9):  # runs that are over
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as victim:
            while victim.poll() is None and _over(url) < wanted:
                time.sleep(0.01)
            victim.send_signal(signal.SIGKILL)
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert len(json.loads(done.stdout)["tuned"]) == 2
    with open_store(url) as store:
        assert [_result(run) for run in store.runs()] == [_result(run) for run in unbroken.runs()]


def _over(url: str) -> int:
    try:
        with open_store(url, create=False) as store:
            return store.count_runs(state="succeeded")
    except EvornnError:
        return 0


def _result(run: StoredRun) -> Any:
    return run.trainer, run.fragments, run.seed, run.state, run.valid_loss, run.test_loss, run.network_steps
