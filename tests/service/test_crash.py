"""Whatever dies in mid-experiment, each run ends once, and with the bits of an unbroken experiment. Real processes."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from postgres import Postgres

from benchmarks import outcomes
from benchmarks.outcomes import faults
from benchmarks.victims import EVORNN, Victims, alive
from evornn.service.service import submit
from evornn.store.errors import StoreError
from evornn.store.store import Store, open_store

pytestmark = pytest.mark.slow

PATIENCE = 300.0  # seconds, then a test gives up
# Runs of a second or two on an idle machine: shorter ones are over before anybody has seen them half done.
SPEC: dict[str, Any] = {**outcomes.SPEC, "seeds": 1, "budget": {**outcomes.SPEC["budget"], "steps": 6_000_000}}
RUNS = 6


class Experiment:
    """An experiment in a folder of its own, driven by the real command."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.spec, self.database, self.said = folder / "spec.json", folder / "evornn.db", folder / "said"
        self.spec.write_text(json.dumps(SPEC))

    def begin(self, *command: str) -> psutil.Popen:
        options = ["--store", f"sqlite:///{self.database}", "--json"]
        with self.said.open("a") as said:
            return psutil.Popen([sys.executable, "-c", EVORNN, *command, *options], stdout=said, stderr=said)

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
        assert job.counts == {"succeeded": RUNS} and len(store.runs(job=job.id)) == RUNS
        found = outcomes.outcome(store, job.id)
        assert faults(store, job.id, found) == []
        assert [store.curve(run.id)[-1].mark for run in store.runs()] == [40] * RUNS
    return found


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One process, and nothing happens: what two workers find is compared with it, whatever happens to them."""
    expected = outcome(Experiment(tmp_path_factory.mktemp("unbroken") / "a").run(workers=0))
    assert len({run["genome"] for run in expected.values()}) == RUNS
    return expected


@pytest.fixture(scope="module")
def agents() -> Iterator[list[psutil.Process]]:
    """Two agents of Ray, which do nothing but watch, tell for a minute a head that is dead that it is: nobody waits for
    them before all tests are done."""
    processes: list[psutil.Process] = []
    yield processes
    gone(processes, within=90)


def succeeded(store: Store) -> int:
    return store.jobs()[0].counts.get("succeeded", 0)


def half_done(store: Store) -> list[int]:
    """Runs that are under way: with progress, and without an end."""
    return [run.id for run in store.runs(state="running") if 1 <= (run.mark or 0) < 35]


def test_a_driver_and_its_workers_are_killed(
    unbroken: dict[str, Any], agents: list[psutil.Process], tmp_path: Path
) -> None:
    """The driver at once when the first run is half done, and again in the resumed experiment; then a worker."""
    experiment = Experiment(tmp_path / "c")
    driver = experiment.begin("run", str(experiment.spec), "--workers", "2")
    for ended in (0, 2):
        experiment.wait(lambda store, ended=ended: succeeded(store) >= ended and bool(half_done(store)))  # type: ignore[misc]
        agents += kill_with_nothing_left(driver)
        with experiment.store() as store:
            assert store.runs(state="running") and succeeded(store) < RUNS
        driver = experiment.begin("resume", "--workers", "2")
    experiment.wait(lambda store: bool(half_done(store)))
    kill_a_worker(driver)
    experiment.finish(driver)
    assert outcome(experiment) == unbroken
    with experiment.store() as store:
        assert sum(run.lease for run in store.runs()) >= RUNS + 3
        assert [run.failures for run in store.runs()] == [0] * RUNS


def kill_with_nothing_left(driver: psutil.Popen) -> list[psutil.Process]:
    """`kill -9`; the Ray that the driver started must go with it. Answers its two agents, which go later."""
    family = {process: process.name() for process in driver.children(recursive=True)}
    assert "raylet" in family.values() and "gcs_server" in family.values()
    driver.kill()
    driver.wait()
    agents = [process for process, name in family.items() if "Agent" in name]
    gone([process for process in family if process not in agents], within=90)
    return agents


def gone(processes: list[psutil.Process], within: float) -> None:
    deadline = time.monotonic() + within
    while (left := [process for process in processes if alive(process)]) and time.monotonic() < deadline:
        time.sleep(0.1)
    for process in left:
        process.kill()
    assert left == []


def kill_a_worker(driver: psutil.Popen) -> None:
    """Kill a process that computes a run."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        for process in driver.children(recursive=True):
            try:
                if any(word.startswith("ray::run") for word in process.cmdline()):
                    process.kill()
                    return
            except psutil.NoSuchProcess:
                continue
    raise TimeoutError("no worker was seen")


# ---- evornn dispatch ------------------------------------------------------------------------------------------------


@pytest.fixture
def submitted(tmp_path: Path) -> Experiment:
    """An experiment whose runs are queued."""
    experiment = Experiment(tmp_path / "e")
    with open_store(f"sqlite:///{experiment.database}") as store:
        submit(store, SPEC)
    return experiment


DISPATCH = ("dispatch", "--workers", "0")


def test_a_dispatcher_is_stopped_and_another_killed(unbroken: dict[str, Any], submitted: Experiment) -> None:
    """What is under way is given back with all its progress, and the next dispatcher resumes that. When this one is
    killed, nobody on the same machine waits for its lease to be over."""
    stopped = submitted.begin(*DISPATCH)
    submitted.wait(lambda store: bool(half_done(store)))
    stopped.terminate()
    assert stopped.wait(timeout=PATIENCE) == 0
    with submitted.store() as store:
        assert store.live_owners() == [] and store.runs(state="running") == []
    killed = submitted.begin(*DISPATCH)
    submitted.wait(lambda store: bool(half_done(store)))
    killed.kill()
    killed.wait()
    with submitted.store() as store:
        (owner,), released = store.live_owners(), kinds(store).count("released")
    submitted.finish(submitted.begin(*DISPATCH, "--until-empty"))
    assert outcome(submitted) == unbroken
    with submitted.store() as store:
        assert "expired" not in kinds(store) and kinds(store).count("released") == released + 1
    assert owner in submitted.said.read_text()


def kinds(store: Store) -> list[str]:
    return [event.kind for event in store.events()]


def test_a_second_signal_ends_a_dispatcher_at_once(submitted: Experiment) -> None:
    dispatcher = submitted.begin(*DISPATCH)
    submitted.wait(lambda store: bool(half_done(store)))
    with (
        open_store(f"sqlite:///{submitted.database}") as store,
        store.write_transaction(),
    ):  # giving back waits for this
        for _ in range(20):
            dispatcher.send_signal(signal.SIGINT)
            time.sleep(0.05)
        assert dispatcher.wait(timeout=PATIENCE) == 130


def test_a_suspended_dispatcher_comes_too_late(unbroken: dict[str, Any], submitted: Experiment) -> None:
    """Another one has its run meanwhile; when it wakes up what it writes is refused, and it goes on with other runs."""
    first = submitted.begin(*DISPATCH)
    submitted.wait(lambda store: bool(half_done(store)))
    first.suspend()
    with submitted.store() as store:
        (owner,) = store.live_owners()
        assert store.release_owner(owner) == 1, "as when its lease is over"
    second = submitted.begin(*DISPATCH)
    submitted.wait(lambda store: any(run.lease > 1 and run.state == "succeeded" for run in store.runs()))
    first.resume()
    submitted.wait(lambda store: succeeded(store) == RUNS)
    for dispatcher in (first, second):
        dispatcher.terminate()
        assert dispatcher.wait(timeout=PATIENCE) == 0
    assert outcome(submitted) == unbroken


def test_a_cluster_on_which_everything_dies(unbroken: dict[str, Any], postgres: Postgres) -> None:
    """A worker, a node, a dispatcher, the database, the head: one after the other, each in the middle of runs."""
    url = postgres.database()
    with open_store(url) as store, Victims(nodes=3) as victims:
        job = submit(store, SPEC)
        victims.dispatch(2, url)
        deadline = time.monotonic() + PATIENCE

        def wait(condition: Callable[[], bool]) -> None:
            while not condition():
                assert time.monotonic() < deadline, victims.logs()
                victims.mend()
                time.sleep(0.1)

        def dispatchers_die() -> None:
            for k in range(2):
                victims.kill_dispatcher(k)

        def database_dies() -> None:
            postgres.kill()
            postgres.start()

        deaths = [
            lambda: victims.workers()[0].kill(),
            lambda: victims.kill_node(1),
            dispatchers_die,
            database_dies,
            lambda: victims.kill_node(0),
        ]
        for k, die in enumerate(deaths):
            wait(lambda k=k: succeeded(store) >= min(k, 3) and bool(half_done(store) and victims.workers()))  # type: ignore[misc]
            die()
        wait(lambda: succeeded(store) == RUNS)
        assert faults(store, job, unbroken) == [], victims.logs()
        assert sum(run.lease for run in store.runs()) >= RUNS + 3
    assert list(victims.processes()) == []
