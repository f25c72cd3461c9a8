"""What starts evornn without the compose file: Kubernetes, SLURM, systemd. None of them runs here: schemas, commands
and the order of things are checked, with stand-ins for the programs of SLURM."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from command_words import check_command

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
MANIFEST = [one for one in yaml.safe_load_all((ROOT / "workers/kubernetes/evornn.yaml").read_text()) if one]
PODS = {one["metadata"]["name"]: one["spec"]["template"]["spec"] for one in MANIFEST if "template" in one["spec"]}
UNITS = sorted((ROOT / "workers/systemd").glob("*.service"))
SLURM = ROOT / "workers/slurm/evornn.sbatch"

# ---- Kubernetes ------------------------------------------------------------------------------------------------------


def test_manifests_keep_to_their_schemas() -> None:
    reason = "kubernetes-validate has the schemas, and is not here"
    validator = pytest.importorskip("kubernetes_validate", reason=reason)
    for one in MANIFEST:
        validator.validate(one, validator.latest_version(), strict=True)


@pytest.mark.parametrize("name", PODS)
def test_pods_are_as_hardened_as_containers(name: str) -> None:
    pod = PODS[name]
    assert pod["securityContext"]["runAsNonRoot"] and not pod["automountServiceAccountToken"]
    for container in (*pod["initContainers"], *pod["containers"]):
        rights = container["securityContext"]
        assert rights["readOnlyRootFilesystem"] and rights["capabilities"] == {"drop": ["ALL"]}
        assert rights["allowPrivilegeEscalation"] is False and container["resources"]["limits"]["memory"]
    mounted = {mount["name"] for one in (*pod["initContainers"], *pod["containers"]) for mount in one["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}


@pytest.mark.parametrize("name", PODS)
def test_pods_run_what_the_composition_runs_with_the_same_secrets(name: str) -> None:
    (container,), service = PODS[name]["containers"], COMPOSE[name]
    theirs = [re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", word) for word in service["command"]]
    for value in ("/backups", "127.0.0.1"):  # backups are the database's; pods have no port of the machine
        if value in theirs:
            k = theirs.index(value)
            del theirs[k - 1 : k + 1]
    assert container["command"] == theirs
    check_command(container["command"])
    (secret,) = [volume["secret"] for volume in PODS[name]["volumes"] if "secret" in volume]
    assert {item["key"] for item in secret["items"]} == set(service["secrets"])
    given = {variable["name"]: variable["value"] for variable in container["env"]}
    assert all(str(service["environment"][key]) == value for key, value in given.items())
    needed = {key for key in service["environment"] if key.startswith("RAY_AUTH") or key.startswith("EVORNN")}
    assert needed <= set(given)


def test_only_nodes_of_ray_reach_nodes_of_ray() -> None:
    (policy,) = [one["spec"] for one in MANIFEST if one["kind"] == "NetworkPolicy"]
    assert policy["ingress"] == [{"from": [{"podSelector": policy["podSelector"]}]}]
    wanted = policy["podSelector"]["matchLabels"].items()
    templates = {one["metadata"]["name"]: one["spec"]["template"] for one in MANIFEST if "template" in one["spec"]}
    inside = {name for name, template in templates.items() if wanted <= template["metadata"]["labels"].items()}
    assert inside == {name for name in PODS if "cluster" in COMPOSE[name]["networks"]}


# ---- systemd ---------------------------------------------------------------------------------------------------------


def test_units_are_sound(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze, a part of systemd, is not here")
    for unit in UNITS:
        program = tmp_path / unit.stem
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
        (tmp_path / unit.name).write_text(re.sub(r"/opt/evornn/bin/\w+", str(program), unit.read_text()))
    done = subprocess.run(["systemd-analyze", "verify", *tmp_path.glob("*.service")], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_units_run_commands_that_exist(unit: Path) -> None:
    text = unit.read_text()
    (command,) = re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
    examples = dict(re.findall(r'(RAY_START|EVORNN_\w+)="([^"]*)"', text))
    assert "NoNewPrivileges=yes" in text and "User=evornn" in text
    for name, words in examples.items():
        if f"${name}" in command:
            check_command(command.replace(f"${name}", words).replace("HEAD", "head").split())
    assert any(f"${name}" in command for name in examples)


# ---- SLURM -----------------------------------------------------------------------------------------------------------

PROGRAMS = {  # each notes what it was called with; nodes and dispatchers stay until SIGTERM, which they note, too
    "scontrol": 'echo "scontrol $*" >> "$NOTES"; printf "%s\\n" n1 n2 n3',
    "srun": 'while [ "$1" != ray ]; do case $1 in --nodelist=*) export NODE=${1#*=};; esac; shift; done; exec "$@"',
    "ray": '[ "$1" = health-check ] && { grep -q "^n1 start --head" "$NOTES"; exit; }\n'
    'echo "$NODE $*" >> "$NOTES"; trap "echo $NODE ends >> $NOTES; kill %1; exit 0" TERM; sleep 60 & wait',
    "evornn": 'echo "evornn $*" >> "$NOTES"\n'
    '[ "$ENDS" ] && { until [ $(grep -c " start " "$NOTES") = 3 ]; do sleep 0.1; done; exit "$ENDS"; }\n'
    'trap "sleep 0.3; echo evornn returns its runs >> $NOTES; kill %1; exit 0" TERM; sleep 60 & wait',
}


@pytest.fixture
def allocation(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a batch script on an allocation of three nodes."""
    for name, body in PROGRAMS.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{body}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "notes").touch()
    yield {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "HOME": str(tmp_path / "home"),
        "NOTES": str(tmp_path / "notes"),
        "SLURM_JOB_ID": "123456",
        "SLURM_JOB_NODELIST": "n[1-3]",
        "SLURM_CPUS_PER_TASK": "8",
        "EVORNN_STORE": "postgresql://evornn@db/evornn",
        "ENDS": "",
    }


def noted(allocation: dict[str, str]) -> list[str]:
    return Path(allocation["NOTES"]).read_text().splitlines()


@pytest.mark.parametrize("status", ["0", "3"])
def test_slurm_starts_a_cluster_and_ends_it_with_the_dispatcher(allocation: dict[str, str], status: str) -> None:
    command = ["bash", str(SLURM), "--until-empty"]
    done = subprocess.run(command, env={**allocation, "ENDS": status}, capture_output=True, text=True, timeout=60)
    assert done.returncode == int(status), done.stderr
    lines = noted(allocation)
    address = "n1:23456"
    assert lines[0] == "scontrol show hostnames n[1-3]"
    assert lines[1].startswith("n1 start --head --port=23456 --num-cpus=7 ")
    assert f"evornn dispatch --address {address} --until-empty" in lines
    workers = [line for line in lines if f"start --address={address} --num-cpus=8" in line]
    assert sorted(line.split()[0] for line in workers) == ["n2", "n3"]
    for line in lines:
        if " start " in line:
            check_command(["ray", *line.split()[1:]])
        elif line.startswith("evornn"):
            check_command(line.split())
    assert not list(Path(allocation["HOME"]).rglob("ray-token*")), "the token outlives the cluster"


def test_slurm_lets_the_dispatcher_return_its_runs_before_the_nodes_end(allocation: dict[str, str]) -> None:
    process = subprocess.Popen(["bash", str(SLURM)], env=allocation, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not any(line.startswith("evornn dispatch") for line in noted(allocation)):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    (token,) = Path(allocation["HOME"]).rglob("ray-token*")
    assert token.stat().st_mode & 0o777 == 0o600 and re.fullmatch("[0-9a-f]{64}", token.read_text())
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    ends = [line for line in noted(allocation) if line.endswith((" ends", "runs"))]
    assert process.returncode == 0, said
    assert ends[0] == "evornn returns its runs" and sorted(ends[1:]) == ["n1 ends", "n2 ends", "n3 ends"]


def test_slurm_says_what_is_missing(allocation: dict[str, str]) -> None:
    del allocation["EVORNN_STORE"]
    done = subprocess.run(["bash", str(SLURM)], env=allocation, capture_output=True, text=True)
    assert done.returncode == 1 and "EVORNN_STORE: the URL of the database" in done.stderr and noted(allocation) == []
