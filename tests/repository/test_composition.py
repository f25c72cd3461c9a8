"""The composition, run for real where an engine and its images are at hand: it computes a job and backs it up.

docker compose build && pytest tests/repository/test_composition.py
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
import yaml

from benchmarks.victims import free_port

ROOT = Path(__file__).parents[2]
SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
MOUNTED = ("docker-compose.yml", "workers/docker", "dashboards")
SPEC: dict[str, Any] = {
    "name": "composition",
    "tasks": [{"kind": "adding", "length": 10, "train": 20, "valid": 5, "test": 5}],
    "networks": [{"kind": "elman", "units": 3}],
    "trainers": [{"kind": "cma_es", "population": 6}, {"kind": "adam"}],
    "seeds": 2,
    "budget": {"steps": 20_000, "marks": 2},
}
pytestmark = pytest.mark.slow


def works(*command: str) -> bool:
    return shutil.which(command[0]) is not None and subprocess.run(command, capture_output=True).returncode == 0


def engine() -> list[str]:
    """The command that runs compose files; skips the test where there is none, or an image is missing."""
    if works("docker", "info") and works("docker", "compose", "version"):
        program, compose = "docker", ["docker", "compose"]
    elif works("podman", "info") and works("podman-compose", "--version"):
        program, compose = "podman", ["podman-compose", "--in-pod", "false"]
    else:
        pytest.skip("neither Docker with its compose plugin nor podman with podman-compose runs here")
    for image in ("evornn:cpu", SERVICES["postgres"]["image"]):
        if not works(program, "image", "inspect", image):
            pytest.skip(f"the image {image} is not here: docker compose build, docker compose pull")
    return compose


class Composition:
    """The services of the compose file in a folder, started one by one as soon as those before them are well."""

    def __init__(self, folder: Path, compose: list[str]) -> None:
        for name in MOUNTED:
            source = ROOT / name
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
        (folder / "backups").mkdir()
        subprocess.run(["sh", "workers/docker/secrets.sh"], cwd=folder, check=True)
        user = os.getuid() or 1000
        if os.getuid() == 0:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, user, user)
        self.folder, self.port = folder, free_port()
        self._command = [*compose, "-p", f"evornn-test-{os.getpid()}"]
        ids = {"EVORNN_UID": str(user), "EVORNN_GID": str(user), "EVORNN_PORT": str(self.port), "EVORNN_CPUS": "1"}
        self._environment = {**os.environ, **ids}

    def call(self, *words: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        command = [*self._command, *words]
        return subprocess.run(
            command, cwd=self.folder, env=self._environment, capture_output=True, text=True, timeout=timeout
        )

    def ask(self, path: str, body: Any = None) -> Any:
        """The server's answer, by plain HTTP: the image may hold another version than this checkout."""
        token = (self.folder / "secrets/evornn_token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        with urlopen(Request(f"http://127.0.0.1:{self.port}/api/v1/{path}", data, headers), timeout=60) as answer:
            return json.load(answer)

    def start(self, service: str) -> None:
        done = self.call("up", "-d", "--no-deps", service)
        assert done.returncode == 0, done.stderr
        check = SERVICES[service]["healthcheck"]["test"][1:]
        wait(lambda: self.call("exec", "-T", service, *check).returncode == 0, f"{service} is not well")


def wait(what: Callable[[], Any], complaint: str, seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, complaint
        time.sleep(1)


@pytest.fixture
def composition(tmp_path: Path) -> Iterator[Composition]:
    composition = Composition(tmp_path, engine())
    yield composition
    composition.call("down", "--volumes", "-t", "5")


def test_the_composition_computes_a_job_and_backs_it_up(composition: Composition) -> None:
    composition.start("postgres")
    done = composition.call("run", "--rm", "--no-deps", "migrate")
    assert done.returncode == 0, done.stdout + done.stderr
    for service in ("ray-head", "dispatcher", "server"):
        composition.start(service)
    job = composition.ask("jobs", SPEC)["id"]
    assert "no machine that computes" in composition.ask("cluster")["problem"]
    composition.start("worker")
    wait(lambda: composition.ask(f"jobs/{job}")["finished"], "the job is not computed", 480)
    assert composition.ask(f"jobs/{job}")["counts"] == {"succeeded": 4}
    assert composition.ask("cluster")["problem"] is None
    composition.start("backup")
    (dump,) = (composition.folder / "backups").iterdir()
    assert dump.suffix == ".dump" and dump.stat().st_size > 10_000
