"""Whatever dies in mid-experiment, each run ends once, and with the bits of an unbroken experiment. Real processes."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
import pytest

from evornn.store.errors import StoreError
from evornn.store.store import Store, open_store

pytestmark = pytest.mark.slow

SPEC = {
    "name": "crash",
    "tasks": [{"kind": "adding", "length": 10, "train": 100, "valid": 20, "test": 20}],
    "networks": [{"kind": "elman", "units": 4}, {"kind": "gru", "units": 3}],
    "trainers": [
        {"kind": "cma_es", "population": 8, "batch": 50},
        {"kind": "adam", "batch": 50},
        {
            "kind": "memetic",
            "evolve": {"kind": "cma_es", "population": 8, "batch": 50},
            "refine": {"kind": "adam", "batch": 20},
        },
    ],
    "seeds": 2,
    "budget": {"steps": 2_000_000, "marks": 40, "targets": [0.1, 0.02]},
}
RUNS = 12
PATIENCE = 300.0  # seconds, then a test gives up


class Experiment:
    """An experiment in a folder of its own, driven by the real command."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.spec, self.database, self.said = folder / "spec.json", folder / "evornn.db", folder / "said"
        self.spec.write_text(json.dumps(SPEC))

    def begin(self, *command: str) -> psutil.Popen:
        code = "from evornn.cli import main; main()"
        options = ["--store", f"sqlite:///{self.database}", "--json"]
        with self.said.open("a") as said:
            return psutil.Popen([sys.executable, "-c", code, *command, *options], stdout=said, stderr=said)

    def run(self, workers: int) -> Experiment:
        return self.finish(self.begin("run", str(self.spec), "--workers", str(workers)))

    def finish(self, driver: psutil.Popen) -> Experiment:
        assert driver.wait(timeout=PATIENCE) == 0, self.said.read_text()
        return self

    def store(self) -> Store:
        return open_store(f"sqlite:///{self.database}", create=False)

    def wait(self, condition: Callable[[Store], bool]) -> None:
        """Until the database says so."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                with self.store() as store:
                    if store.jobs() and condition(store):
                        return
            except StoreError:  # not there yet
                pass
            time.sleep(0.05)
        raise TimeoutError("the experiment doesn't get on")


def outcome(experiment: Experiment) -> dict[str, Any]:
    """All that an experiment has found: everything but times and machines. No run lost, none twice."""
    with experiment.store() as store:
        (job,) = store.jobs()
        runs = store.runs(job=job.id)
        assert job.counts == {"succeeded": RUNS} and len(runs) == RUNS
        ends = [event.run for event in store.events(job=job.id) if event.kind == "succeeded"]
        assert sorted(ends) == [run.id for run in runs]
        return {f"{run.network} {run.trainer} {run.seed}": found(store, run.id) for run in runs}


def found(store: Store, run: int) -> dict[str, Any]:
    curve = [{**asdict(row), "extra": sorted(row.extra.items()), "seconds": None} for row in store.curve(run)]
    assert [row["mark"] for row in curve][-1] == 40
    result = {**vars(store.result(run)), "seconds": None, "environment": None}
    return {"curve": repr(curve), "genome": result.pop("genome").tobytes(), "result": repr(sorted(result.items()))}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Two workers, and nothing happens."""
    found = outcome(Experiment(tmp_path_factory.mktemp("unbroken") / "a").run(workers=2))
    assert len({run["genome"] for run in found.values()}) == RUNS
    return found


def succeeded(store: Store) -> int:
    return store.jobs()[0].counts.get("succeeded", 0)


def half_done(store: Store) -> list[int]:
    """Runs that are under way: with progress, and without an end."""
    return [run.id for run in store.runs(state="running") if 1 <= (run.mark or 0) < 35]


def test_one_worker_finds_the_same(unbroken: dict[str, Any], tmp_path: Path) -> None:
    assert outcome(Experiment(tmp_path / "b").run(workers=1)) == unbroken


def test_the_driver_is_killed(unbroken: dict[str, Any], tmp_path: Path) -> None:
    """At once when the first run is half done; later again, in the resumed experiment."""
    experiment = Experiment(tmp_path / "c")
    driver, agents = experiment.begin("run", str(experiment.spec), "--workers", "2"), []
    for ended in (0, 5):
        experiment.wait(lambda store, ended=ended: succeeded(store) >= ended and bool(half_done(store)))  # type: ignore[misc]
        agents += kill_with_nothing_left(driver)
        with experiment.store() as store:
            assert store.runs(state="running") and succeeded(store) < RUNS
        driver = experiment.begin("resume", "--workers", "2")
    experiment.finish(driver)
    assert outcome(experiment) == unbroken
    with experiment.store() as store:
        assert sum(run.lease for run in store.runs()) > RUNS
    gone(agents, within=90)


def kill_with_nothing_left(driver: psutil.Popen) -> list[psutil.Process]:
    """`kill -9`; the Ray that the driver started must go with it. Its two agents, which do nothing but watch, try for a
    minute to tell the head that it is dead: they are answered."""
    family = {process: process.name() for process in driver.children(recursive=True)}
    assert "raylet" in family.values() and "gcs_server" in family.values()
    driver.kill()
    driver.wait()
    agents = [process for process, name in family.items() if "Agent" in name]
    gone([process for process in family if process not in agents], within=20)
    return agents


def gone(processes: list[psutil.Process], within: float) -> None:
    deadline = time.monotonic() + within
    while (left := [process for process in processes if alive(process)]) and time.monotonic() < deadline:
        time.sleep(0.1)
    for process in left:
        process.kill()
    assert left == []


def alive(process: psutil.Process) -> bool:
    """A zombie that nobody has asked for is dead."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_workers_are_killed(unbroken: dict[str, Any], tmp_path: Path) -> None:
    experiment = Experiment(tmp_path / "d")
    driver = experiment.begin("run", str(experiment.spec), "--workers", "2")
    killed: list[int] = []
    for ended in (0, 4):
        experiment.wait(lambda store, ended=ended: succeeded(store) >= ended and bool(half_done(store)))  # type: ignore[misc]
        killed += kill_a_worker(driver)
    experiment.finish(driver)
    assert outcome(experiment) == unbroken
    with experiment.store() as store:
        assert len(killed) == 2 and sum(run.lease for run in store.runs()) >= RUNS + 1
        assert [run.failures for run in store.runs()] == [0] * RUNS


def kill_a_worker(driver: psutil.Popen) -> list[int]:
    """Kill a process that computes a run; its pid."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        for process in driver.children(recursive=True):
            try:
                if any(word.startswith("ray::run") for word in process.cmdline()):
                    process.kill()
                    return [process.pid]
            except psutil.NoSuchProcess:
                continue
    return []
