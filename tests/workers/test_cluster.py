"""A cluster of two nodes, real processes on this machine: one has CPUs, the other a GPU (so it says). Only who has the
token gets in, and runs go where what they ask for is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.victims import EVORNN, Victims
from evornn.errors import EvornnError
from evornn.experiments.execute import check_plans
from evornn.experiments.spec import parse_spec, plan
from evornn.settings import BadSetting
from evornn.store.store import open_store

SPEC: dict[str, Any] = {
    "name": "groups",
    "tasks": [{"kind": "adding", "length": 10, "train": 20, "valid": 5, "test": 5}],
    "networks": [{"kind": "elman", "units": 3}],
    "trainers": [{"kind": "cma_es", "population": 6}],
    "seeds": 2,
    "budget": {"steps": 20_000, "marks": 2},
}


class Groups(Victims):
    """The head has CPUs, the other node a GPU."""

    def _start(self, log: str, command: list[str]) -> subprocess.Popen[bytes]:
        gpus = "--num-gpus=0" if "--head" in command else "--num-gpus=1"
        return super()._start(log, [gpus if word.startswith("--num-gpus") else word for word in command])


@pytest.fixture(scope="module")
def cluster() -> Iterator[Groups]:
    with Groups(nodes=2, cpus=2) as cluster:
        yield cluster


def run(cluster: Groups, folder: Path, environment: dict[str, str] | None = None, **spec: Any) -> Any:
    """`evornn run` on the cluster."""
    file = folder / "spec.json"
    file.write_text(json.dumps({**SPEC, **spec}))
    store = f"sqlite:///{folder}/evornn.db"
    command = [sys.executable, "-c", EVORNN, "run", str(file), "--address", cluster.address, "--store", store, "--json"]
    kept = {**cluster._environment, **(environment or {})}
    return subprocess.run(command, capture_output=True, text=True, env=kept, timeout=120)


@pytest.mark.slow
def test_runs_of_the_cpu_group(cluster: Groups, tmp_path: Path) -> None:
    done = run(cluster, tmp_path)
    assert done.returncode == 0, done.stderr
    with open_store(f"sqlite:///{tmp_path}/evornn.db") as store:
        environments = [store.result(run.id).environment for run in store.runs()]
    assert len(environments) == 2 and {e["device"] for e in environments} == {"cpu"}
    assert not any("unlike the dispatcher" in e for e in environments)


@pytest.mark.slow
def test_runs_of_the_gpu_group_go_to_its_node(cluster: Groups, tmp_path: Path) -> None:
    """There is no real GPU here: that a run is told so shows that it was placed, and on the node that has none."""
    done = run(cluster, tmp_path, resources={"gpus": 1})
    assert done.returncode == 3, done.stdout + done.stderr
    with open_store(f"sqlite:///{tmp_path}/evornn.db") as store:
        errors = {run.error for run in store.runs()}
    assert len(errors) == 1 and "no CUDA device here" in str(errors)


@pytest.mark.slow
@pytest.mark.parametrize("token", ["another", "none"])
def test_nobody_gets_in_without_the_token(cluster: Groups, tmp_path: Path, token: str) -> None:
    file = tmp_path / "token"
    file.touch(0o600)
    file.write_text("f" * 64)
    if token == "another":
        environment = {"RAY_AUTH_TOKEN_PATH": str(file)}
    else:
        environment = {"RAY_AUTH_MODE": "disabled", "RAY_AUTH_TOKEN_PATH": ""}
    done = run(cluster, tmp_path, environment)
    assert done.returncode == 1, done.stdout + done.stderr
    error = json.loads(done.stderr.strip().splitlines()[-1])["error"]
    assert f"can't connect to a Ray cluster at {cluster.address}" in error and "RAY_AUTH_TOKEN_PATH name" in error
    assert "f" * 8 not in done.stdout + done.stderr


def test_who_submits_needs_no_gpu() -> None:
    runs = plan(parse_spec({**SPEC, "resources": {"gpus": 1}}))
    assert check_plans(runs) == check_plans(plan(parse_spec(SPEC)))
    with pytest.raises(BadSetting, match=r"resources\.backend: simd is for CPUs"):
        check_plans(plan(parse_spec({**SPEC, "resources": {"gpus": 1, "backend": "simd"}})))


def test_a_token_without_a_home_lies_in_a_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from evornn.workers import cluster

    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    file = cluster._token_file()
    assert file.parent.parent == tmp_path and file.parent.stat().st_mode & 0o777 == 0o700
    assert file.stat().st_mode & 0o777 == 0o600 and cluster._token_file() == file
    file.parent.chmod(0o777)
    with pytest.raises(EvornnError, match=r"Not a directory.*: set XDG_CACHE_HOME to a folder"):
        cluster._token_file()


def test_the_token_of_a_ray_of_our_own_is_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from evornn.workers import cluster

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    file = cluster._token_file()
    assert file.stat().st_mode & 0o777 == 0o600 and len(file.read_text()) == 64
    assert cluster._token_file() == file and os.listdir(file.parent) == [file.name]


def test_runs_wait_for_the_first_machine_as_long_as_it_takes() -> None:
    """Workers that are all away for a night must not fail the queue."""
    from evornn.service.executors.executor import ResourceSet
    from evornn.workers.machines import ClusterMonitor

    monitor = ClusterMonitor.__new__(ClusterMonitor)
    monitor._grace, monitor._last_change = 0.0, 0.0
    monitor._capacities = {"head": ResourceSet(0, 0), "dispatcher": ResourceSet(0, 0)}
    assert monitor.may_grow
    monitor._capacities["worker"] = ResourceSet(2, 0)
    assert not monitor.may_grow and not monitor.has_room_for(ResourceSet(4, 0))
