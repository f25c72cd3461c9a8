"""Compose file, images, cluster launcher, Prometheus and Grafana: there is no engine to run them, so all that they name
is looked up, and whatever can run alone is run."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from command_words import check_command
from postgres import Postgres
from psycopg.conninfo import make_conninfo
from stores import result, row, submitted

from evornn.store.store import open_store

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = {"evornn:cpu": "cpu", "evornn:cuda": "cuda"}  # images that are built here
DOCKERFILES = sorted((ROOT / "workers/docker").glob("*.Dockerfile"))
ONE_SHOT = {"migrate"}
MADE_BY_HAND = "./backups"  # as the guide says
BY_THE_SERVER = "secrets/prometheus_token"  # `evornn token add` makes it


def filled(text: str) -> str:
    """`${NAME:-default}` → default."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


def schema_errors(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", *arguments], cwd=ROOT, capture_output=True, text=True
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


# ---- compose ---------------------------------------------------------------------------------------------------------


def test_the_compose_file_keeps_to_its_schema(tmp_path: Path) -> None:
    assert schema_errors("--builtin-schema", "vendor.compose-spec", "docker-compose.yml") == ""
    broken = tmp_path / "docker-compose.yml"
    broken.write_text((ROOT / "docker-compose.yml").read_text().replace("healthcheck:", "healthchek:"))
    assert "healthchek" in schema_errors("--builtin-schema", "vendor.compose-spec", str(broken))


@pytest.mark.parametrize("kind", ["networks", "volumes", "secrets"])
def test_what_services_refer_to_is_there_and_used(kind: str) -> None:
    used = set()
    for service in SERVICES.values():
        for entry in service.get(kind, []):
            name = entry.split(":")[0]
            if name == MADE_BY_HAND:
                assert f"/{name[2:]}/" in (ROOT / ".gitignore").read_text().splitlines()
            elif name.startswith("./"):
                assert (ROOT / name).exists(), name
            else:
                used.add(name)
    assert used == set(COMPOSE[kind])


def test_services_wait_for_services_that_can_be_waited_for() -> None:
    for service in SERVICES.values():
        for name, wanted in service.get("depends_on", {}).items():
            condition = "service_completed_successfully" if name in ONE_SHOT else "service_healthy"
            assert wanted == {"condition": condition} and set(SERVICES[name].get("profiles", [])) <= set(
                service.get("profiles", [])
            )


@pytest.mark.parametrize("name", SERVICES)
def test_services_are_hardened(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] and service["cap_drop"] == ["ALL"] and "privileged" not in service
    assert service["security_opt"] == ["no-new-privileges:true"] and filled(service["user"]).split(":")[0] == "1000"
    assert (service["restart"] == "no") == (name in ONE_SHOT)
    assert name in ONE_SHOT or service["healthcheck"]["test"][0] == "CMD"
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    mounts = [volume for volume in service.get("volumes", []) if volume.startswith("./")]
    assert all(volume.endswith(":ro") for volume in mounts if (name, volume) != ("backup", f"{MADE_BY_HAND}:/backups"))


def test_no_service_runs_what_another_has_written() -> None:
    """Kernels are executed when they are loaded: each kind of container has its own. Data are written by the server."""
    writers: dict[str, list[str]] = {}
    for name, service in SERVICES.items():
        for volume in service.get("volumes", []):
            if not volume.endswith(":ro"):
                writers.setdefault(volume.split(":")[0], []).append(name)
    assert writers["data"] == ["server"] and all(len(names) == 1 for names in writers.values())
    kernels = {name for name in writers if name.endswith("kernels")}
    assert kernels == {f"{name}-kernels" for name in ("worker", "gpu-worker", "dispatcher", "server")}


def test_runs_return_before_their_worker_is_killed() -> None:
    for name in ("worker", "gpu-worker"):
        drain = SERVICES[name]["environment"]["RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"]
        assert 0 < drain < int(SERVICES[name]["stop_grace_period"].removesuffix("s"))
        rest = {**SERVICES[name]["environment"], "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": 0}
        assert rest == SERVICES["ray-head"]["environment"]


@pytest.mark.parametrize("name", SERVICES)
def test_no_secret_stands_in_the_environment(name: str) -> None:
    for variable, value in SERVICES[name].get("environment", {}).items():
        if re.search("PASS|SECRET|TOKEN", variable):
            assert str(value).startswith("/run/secrets/"), variable
            assert str(value).removeprefix("/run/secrets/") in SERVICES[name]["secrets"]
        assert not re.search(r"://[^/@]*:[^/@]*@", str(value)), variable
    words = " ".join([*SERVICES[name].get("command", []), *SERVICES[name].get("healthcheck", {}).get("test", [])])
    for file in re.findall(r"/run/secrets/(\w+)", words):
        assert file in SERVICES[name]["secrets"]


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned_or_built_here(name: str) -> None:
    image = SERVICES[name]["image"]
    if image in OURS:
        dockerfile = SERVICES[name]["build"]["dockerfile"]
        assert dockerfile == f"workers/docker/{OURS[image]}.Dockerfile" and (ROOT / dockerfile).exists()
    else:
        assert "build" not in SERVICES[name] and pinned(image)


def pinned(image: str) -> bool:
    """By a digest, or by a tag with a whole version."""
    return bool(re.search(r"@sha256:[0-9a-f]{64}$|:v?\d+\.\d+(\.\d+)?(-\w+)*$", image))


def commands() -> Iterator[Any]:
    for name, service in SERVICES.items():
        health = service.get("healthcheck", {}).get("test", ["CMD"])[1:]
        for what, words in (("command", service.get("command", [])), ("healthcheck", health)):
            if words and words[0] in ("evornn", "ray", "python"):
                yield pytest.param([filled(word) for word in words], id=f"{name} {what}")


@pytest.mark.parametrize("words", list(commands()))
def test_commands_are_understood(words: list[str]) -> None:
    if words[0] == "python":
        assert words[1] == "-c"
        compile(words[2], "healthcheck", "exec")
    else:
        check_command(words)


def test_nodes_authenticate_and_only_the_head_has_no_cpus() -> None:
    for name, service in SERVICES.items():
        if any("ray-head:6379" in word for word in service.get("command", [])) or name == "ray-head":
            assert service["environment"]["RAY_AUTH_MODE"] == "token" and "cluster" in service["networks"]
    assert {COMPOSE["networks"][name]["internal"] for name in ("store", "cluster")} == {True}
    assert "--num-cpus=0" in SERVICES["ray-head"]["command"]
    assert not any("--num-cpus=0" in SERVICES[name]["command"] for name in ("worker", "gpu-worker"))


# ---- secrets and the database's first start --------------------------------------------------------------------------


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    subprocess.run(["sh", ROOT / "workers/docker/secrets.sh", tmp_path / "secrets"], check=True)
    return tmp_path / "secrets"


def test_secrets_are_made_once_and_are_private(secrets: Path) -> None:
    files = {ROOT / entry["file"] for entry in COMPOSE["secrets"].values()} - {ROOT / BY_THE_SERVER}
    made = {path.name: path.read_text() for path in secrets.iterdir()}
    assert {ROOT / "secrets" / name for name in made} == files
    assert {stat.S_IMODE(path.stat().st_mode) for path in (secrets, *secrets.iterdir())} == {0o700, 0o600}
    values = {text.strip().rpartition(":")[2] for text in made.values()}
    assert len(values) == len(made) and all(re.fullmatch("[0-9a-f]{64}", value) for value in values)
    (secrets / "ray_token").unlink()
    subprocess.run(["sh", ROOT / "workers/docker/secrets.sh", secrets], check=True)
    again = {path.name: path.read_text() for path in secrets.iterdir()}
    assert {name for name in made if again[name] != made[name]} == {"ray_token"}


@pytest.mark.parametrize("file", [".gitignore", ".dockerignore"])
def test_secrets_stay_here(file: str) -> None:
    lines = (ROOT / file).read_text().splitlines()
    assert "/secrets/" in lines or ("*" in lines and "!secrets" not in lines)


@pytest.mark.slow
def test_the_database_begins_with_a_role_that_is_no_superuser(secrets: Path) -> None:
    with Postgres() as server:
        programs = server._programs
        environment = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PGHOST": "127.0.0.1",
            "PGPORT": str(server.port),
            "POSTGRES_USER": "postgres",
            "PGPASS_SECRET": str(secrets / "pgpass"),
        }
        script = ROOT / "workers/docker/postgres.sh"
        subprocess.run(["sh", script], env=environment, check=True)
        where = make_conninfo(host="127.0.0.1", port=server.port, user="evornn", dbname="evornn")
        with closing(psycopg.connect(where)) as connection:
            (found,) = connection.execute(
                "SELECT rolsuper, rolcreatedb FROM pg_roles WHERE rolname = 'evornn'"
            ).fetchall()
            connection.execute("CREATE TABLE mine (id int)")
        assert found == (False, False)
        upgrade = ["db", "upgrade", "--store", f"postgresql://evornn@127.0.0.1:{server.port}/evornn"]
        code = "from evornn.cli import main; main()"
        subprocess.run([sys.executable, "-c", code, *upgrade], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


# ---- images ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.name)
def test_images_are_pinned_and_run_as_nobody_special(file: Path) -> None:
    lines = file.read_text().replace("\\\n", " ").splitlines()
    steps = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    bases = [rest.split()[0] for word, rest in steps if word == "FROM"]
    stages = {rest.split()[2] for word, rest in steps if word == "FROM" and " AS " in rest}
    assert pinned(bases[-1]) and all(pinned(base) for base in bases if base not in stages)
    users = [rest for word, rest in steps if word == "USER"]
    assert users == ["evornn"] and [word for word, _ in steps].index("HEALTHCHECK") > 0
    installs = [rest for _, rest in steps if "pip install" in rest]
    assert installs and all("--constraint constraints.txt" in rest for rest in installs)
    assert not any("http" in rest or "curl" in rest for _, rest in steps)


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.name)
def test_images_get_what_they_copy(file: Path) -> None:
    """Copied paths exist, and .dockerignore lets them through."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    sent = {line[1:] for line in lines if line.startswith("!")}
    copied = set()
    for line in file.read_text().splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            copied |= set(line.split()[1:-1])
    assert {name.split("/")[0] for name in copied} == sent and all((ROOT / name).exists() for name in copied)


def test_both_images_are_one_but_for_cuda() -> None:
    """Python and everything installed is the same: Ray wants that."""
    cpu, cuda = ([line for line in f.read_text().splitlines() if not line.startswith("#")] for f in DOCKERFILES)
    extra = [line for line in cuda if line not in cpu]
    assert all("NVIDIA" in line or line.endswith("token \\") for line in extra) and any("NVIDIA" in e for e in extra)
    running = f"python:{sys.version_info.major}.{sys.version_info.minor}."
    bases = [line.split()[1] for line in cpu if line.startswith("FROM")]
    assert {base for base in bases if ":" in base} == {base for base in bases if base.startswith(running)}
    assert len(bases) > 3


# ---- Ray's launcher --------------------------------------------------------------------------------------------------


def test_the_launchers_file_keeps_to_rays_schema(tmp_path: Path) -> None:
    import ray.autoscaler

    schema = Path(ray.autoscaler.__file__).with_name("ray-schema.json")
    assert schema_errors("--schemafile", str(schema), "workers/cluster.yaml") == ""
    broken = tmp_path / "cluster.yaml"
    broken.write_text((ROOT / "workers/cluster.yaml").read_text().replace("max_workers: 20", "max_workers: many"))
    assert "many" in schema_errors("--schemafile", str(schema), str(broken))


def test_the_launcher_copies_what_exists_and_passes_the_token() -> None:
    cluster = yaml.safe_load((ROOT / "workers/cluster.yaml").read_text())
    local = set(cluster["file_mounts"].values())
    assert "secrets/ray_token" in local and all((ROOT / path).exists() for path in local - {"secrets/ray_token"})
    for role in ("head", "worker"):
        (start,) = [line for line in cluster[f"{role}_start_ray_commands"] if "ray start" in line]
        assert "RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=~/ray-token" in start
        words = start.partition("ray start")[2].replace("$RAY_HEAD_IP", "10.0.0.1").split()
        check_command(["ray", "start", *words])
    types = cluster["available_node_types"]
    assert cluster["head_node_type"] in types and types["head"]["resources"]["CPU"] == 0


# ---- Prometheus and Grafana ------------------------------------------------------------------------------------------

DASHBOARD = json.loads((ROOT / "dashboards/grafana/evornn.json").read_text())
ALERTS = yaml.safe_load((ROOT / "dashboards/alerts.yml").read_text())
LABELS = {
    "evornn_runs": {"state"},
    "evornn_disk_free_bytes": {"folder"},
    "evornn_http_requests_total": {"status", "method", "route"},
}


def expressions() -> list[str]:
    shown = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    return [*shown, *(rule["expr"] for group in ALERTS["groups"] for rule in group["rules"])]


def test_only_metrics_that_the_server_has_are_asked_for() -> None:
    source = "".join(path.read_text() for path in (ROOT / "evornn/service").rglob("*.py"))
    asked = {name for expr in expressions() for name in re.findall(r"\bevornn_\w+", expr)}
    bases = {re.sub("_(bucket|sum|count)$", "", name) for name in asked}
    assert len(bases) > 4 and [name for name in bases if f'"{name.removesuffix("_total")}' not in source] == []


def test_only_labels_that_metrics_have_are_asked_for() -> None:
    for expr in expressions():
        for name, inside in re.findall(r"\b(evornn_\w+)\{([^}]*)\}", expr):
            assert set(re.findall(r"(\w+)=", inside)) <= LABELS[name], expr
        assert expr.count("(") == expr.count(")") and expr.count("{") == expr.count("}")


def test_prometheus_asks_the_server_and_reads_the_alerts() -> None:
    config = yaml.safe_load((ROOT / "dashboards/prometheus.yml").read_text())
    mounted = {volume.split(":")[1] for volume in SERVICES["prometheus"]["volumes"]}
    assert {f"/etc/prometheus/{name}" for name in config["rule_files"]} <= mounted
    (job,) = config["scrape_configs"]
    ((target,),) = [static["targets"] for static in job["static_configs"]]
    name, port = target.split(":")
    command = SERVICES[name]["command"]
    assert command[command.index("--port") + 1] == port
    assert name in [command[k + 1] for k, word in enumerate(command) if word == "--host-name"]
    assert job["authorization"]["credentials_file"].rpartition("/")[2] in SERVICES["prometheus"]["secrets"]
    assert set(SERVICES[name]["networks"]) & set(SERVICES["prometheus"]["networks"])
    rules = [rule for group in ALERTS["groups"] for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules)
    assert all(set(rule) == {"alert", "expr", "for", "annotations"} for rule in rules)
    assert all(re.fullmatch(r"\d+[smh]", rule["for"]) for rule in rules)


def test_grafana_finds_its_dashboard_and_its_source() -> None:
    folder = ROOT / "dashboards/grafana/provisioning"
    (source,) = yaml.safe_load((folder / "datasources/prometheus.yml").read_text())["datasources"]
    (provider,) = yaml.safe_load((folder / "dashboards/evornn.yml").read_text())["providers"]
    mounted = {volume.split(":")[1] for volume in SERVICES["grafana"]["volumes"]}
    shown = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert shown in mounted and shown.startswith(provider["options"]["path"])
    assert source["url"] == "http://prometheus:9090"
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) and all(panel["description"] for panel in panels)
    assert {target["datasource"]["uid"] for panel in panels for target in panel["targets"]} == {source["uid"]}
    places = [panel["gridPos"] for panel in panels]
    cells = [(x, y) for p in places for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])]
    assert len(set(cells)) == len(cells) and max(x for x, _ in cells) < 24


# ---- backup and restore, as docs/guides/operations.md says it --------------------------------------------------------


def documented(heading: str) -> list[str]:
    """The shell commands under a heading."""
    section = re.split(r"^#+ ", (ROOT / "docs/guides/operations.md").read_text(), flags=re.MULTILINE)
    (text,) = [part for part in section if part.startswith(heading + "\n")]
    return re.findall(r"^\$ (.*)$", text, re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize("database", ["SQLite", "PostgreSQL"])
def test_backup_and_restore_as_documented(database: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    backup, restore = documented(f"Backup of {database}"), documented(f"Restore of {database}")
    assert backup and restore
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "evornn").write_text(f"#!/bin/sh\nexec {sys.executable} -c 'from evornn.cli import main; main()' \"$@\"\n")
    (tools / "evornn").chmod(0o755)
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    url = f"sqlite:///{tmp_path}/evornn.db"
    if database == "PostgreSQL":
        server: Postgres = request.getfixturevalue("postgres")
        url = f"postgresql://postgres@127.0.0.1:{server.port}/evornn"
        environment |= {"PATH": f"{tools}:{server._programs}:{os.environ['PATH']}", "PGHOST": "127.0.0.1"}
        environment |= {"PGPORT": str(server.port), "PGUSER": "postgres"}
        subprocess.run(["createdb", "evornn"], env=environment, check=True)
    environment["EVORNN_STORE"] = url
    with open_store(url) as store:
        job = submitted(store, 3)
        claim = store.claim("somebody:1:1.0")
        assert claim is not None
        store.finish(claim.run.id, claim.lease, result(), [row(1)])
        expected = described(store, job)
        for command in backup:
            subprocess.run(command, shell=True, check=True, cwd=tmp_path, env=environment)
        store.cancel(job=job)
    lose(url, tmp_path, environment)
    for command in restore:
        subprocess.run(command, shell=True, check=True, cwd=tmp_path, env=environment)
    with open_store(url, create=False) as store:
        assert described(store, job) == expected
        assert store.query("SELECT count(*) FROM results")[1][0][0] == 3
        assert store.claim("another:1:1.0") is not None
    lose(url, tmp_path, environment)


def described(store: Any, job: int) -> Any:
    runs = [(run.id, run.state, run.seed, run.test_loss, run.lease) for run in store.runs(job=job, order="id")]
    return runs, store.curve(1), store.champion(1).tobytes(), store.job(job).counts


def lose(url: str, folder: Path, environment: dict[str, str]) -> None:
    if url.startswith("sqlite"):
        for file in folder.glob("evornn.db*"):
            file.unlink()
    else:
        subprocess.run(["dropdb", "--force", "evornn"], env=environment, check=True)
