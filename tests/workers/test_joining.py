"""A real cluster, used from where none of its nodes is, and a node that is drained. A PID namespace stands for the
other machine: Ray finds out by the processes that it sees whether it is on a node."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.victims import EVORNN, Victims, kill
from evornn.store.store import Store, open_store
from evornn.workers.driver_node import PREFIX

ELSEWHERE = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
SPEC: dict[str, Any] = {
    "name": "elsewhere",
    "tasks": [{"kind": "adding", "length": 10, "train": 20, "valid": 5, "test": 5}],
    "networks": [{"kind": "elman", "units": 3}],
    "trainers": [{"kind": "cma_es", "population": 6}],
    "seeds": 2,
    "budget": {"steps": 20_000, "marks": 2},
}
LONG = {**SPEC, "budget": {"steps": 10**10, "marks": 100_000}}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster() -> Iterator[Victims]:
    with Victims(nodes=2, cpus=1) as cluster:
        yield cluster


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/evornn.db") as store:
        yield store


def evornn(cluster: Victims, *words: str, prefix: list[str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [*(prefix or []), sys.executable, "-c", EVORNN, *words]
    return subprocess.run(command, capture_output=True, text=True, env=cluster._environment, timeout=600)


def submit(cluster: Victims, store: Store, folder: Path, spec: dict[str, Any]) -> Path:
    file = folder / "spec.json"
    file.write_text(json.dumps(spec))
    done = evornn(cluster, "submit", str(file), "--store", store.display_url)
    assert done.returncode == 0 and "no dispatcher is running" in done.stderr, done.stderr
    return file


def wait(what: Callable[[], Any], seconds: float = 600) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, "it didn't happen"
        time.sleep(0.2)
    return found


def driver_nodes(cluster: Victims) -> list[Any]:
    """Processes of nodes that are there for one process alone."""
    return [process for process in cluster.processes() if PREFIX in " ".join(process.cmdline())]


def test_a_machine_that_is_no_node_joins_for_as_long_as_it_needs(cluster: Victims, tmp_path: Path) -> None:
    if subprocess.run([*ELSEWHERE, "true"], capture_output=True).returncode:
        pytest.skip("this user can't make a PID namespace")
    file, url = tmp_path / "spec.json", f"sqlite:///{tmp_path}/evornn.db"
    file.write_text(json.dumps(SPEC))
    done = evornn(cluster, "run", str(file), "--address", cluster.address, "--store", url, prefix=ELSEWHERE)
    assert done.returncode == 0, done.stdout + done.stderr
    with open_store(url) as store:
        assert store.job(1).counts == {"succeeded": 2}
        (worker,) = store.workers()
        assert sorted(machine.cpus for machine in worker.machines) == [0, 1, 1], "two nodes, and one for itself"
    assert driver_nodes(cluster) == []


def test_its_node_ends_with_a_dispatcher_that_is_killed(cluster: Victims, store: Store) -> None:
    if subprocess.run([*ELSEWHERE, "true"], capture_output=True).returncode:
        pytest.skip("this user can't make a PID namespace")
    # A shell that stays is the namespace's first process: with it all others would end anyway.
    shell = [*ELSEWHERE, "sh", "-c", '"$@"; sleep 600', "sh", sys.executable, "-c", EVORNN, "dispatch"]
    process = cluster._start("elsewhere", [*shell, "--store", store.display_url, "--address", cluster.address])
    wait(lambda: any(worker.machines for worker in store.workers()))
    assert driver_nodes(cluster)
    kill([p for p in cluster.processes() if "dispatch" in p.cmdline() and p.name() not in ("unshare", "sh")])
    wait(lambda: not driver_nodes(cluster))
    assert process.poll() is None
    process.kill()
    process.wait()


def test_a_drained_node_gives_its_run_back_and_leaves(cluster: Victims, store: Store, tmp_path: Path) -> None:
    submit(cluster, store, tmp_path, LONG)
    cluster.dispatch(1, store.display_url)
    wait(lambda: all(run.mark for run in store.runs()))
    machines = [machine for worker in store.workers() for machine in worker.machines]
    head = next(
        machine for machine in machines if machine.memory_used is not None
    )  # what the dispatcher is connected to
    (other,) = [machine for machine in machines if machine.id != head.id]
    for name, said in (
        (head.id[:16], "is the head"),
        ("nowhere", f"no node nowhere that computes: name one of {other.name} ("),
        (other.name, f"{other.name} names several nodes: name one of"),
    ):
        done = evornn(cluster, "drain", name, "--address", cluster.address)
        assert done.returncode == 1 and said in done.stderr, done.stdout + done.stderr
    before = {run.id: run.mark or 0 for run in store.runs()}
    done = evornn(cluster, "drain", other.id[:16], "--address", cluster.address)
    assert done.returncode == 0 and "gets no further runs" in done.stdout, done.stdout + done.stderr
    returned = wait(lambda: store.runs(state="queued"))[0]
    wait(lambda: [machine.id for worker in store.workers() for machine in worker.machines] == [head.id])
    (kept,) = store.runs(state="running")
    assert store.cancel(run=kept.id) == 1
    resumed = wait(
        lambda: (run := store.run(returned.id)).state == "running" and (run.mark or 0) > returned.mark and run
    )
    assert returned.mark >= before[returned.id] and (resumed.id, resumed.failures) == (returned.id, 0)
    assert "released" in {event.kind for event in store.events(run=returned.id)}
    cluster.kill_dispatcher(0)
    cluster.dispatchers = []
