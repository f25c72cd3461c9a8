"""What CONTRIBUTING.md says of a new network, task and trainer is enough: they work, and are under contract."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from contributing import blocks, write_files

import evornn
from evornn.networks import CELLS, NETWORKS
from evornn.tasks import TASKS
from evornn.trainers import TRAINERS

ROOT = Path(__file__).parents[2]
PLUGIN = """
import cells_notation, numpy as np
from cells_notation import σ
from evornn.networks import CELLS, NETWORKS
from evornn.tasks import TASKS
from evornn.trainers import TRAINERS

CELLS.import_paths["update_gate"] = NETWORKS.import_paths["update_gate"] = "update_gate:UpdateGate"
TASKS.import_paths["larger"] = "larger:Larger"
TRAINERS.import_paths["hill_climbing"] = "hill_climbing:HillClimbing"
"""
SUITES = {
    "update_gate": {"test_architectures", "test_cells", "test_class_numbers", "test_memories", "test_network",
                    "test_papers_steps", "test_simd_cells", "test_small_specs"},
    "larger": {"test_tasks", "test_small_specs"},
    "hill_climbing": {"test_trainer_contract", "test_populations", "test_islands", "test_training", "test_small_specs"},
}  # fmt: skip


def test_what_it_adds_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its network, its task and its trainer, one with the other."""
    write_files(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    network = evornn.Network("update_gate:UpdateGate", inputs=1, units=4, outputs=1)
    task = import_module("larger").Larger(train=50, valid=20, test=20)
    trainer = import_module("hill_climbing").HillClimbing(population=8)
    result = evornn.train(network, task, trainer, seed=0, budget=100_000).result
    assert result.test_loss < task.data().baselines[0].test


def entries() -> list[tuple[str, str]]:
    """Folder of tests and kind, of everything in the catalog that BY_HAND does not check."""
    models = [("networks", kind) for kind in NETWORKS if kind not in CELLS]
    return [*models, *(("tasks", kind) for kind in TASKS), *(("trainers", kind) for kind in TRAINERS)]


@pytest.fixture(scope="module")
def texts() -> str:
    """Of all tests."""
    return "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))


@pytest.mark.parametrize(("folder", "kind"), entries())
def test_it_has_an_independent_check(folder: str, kind: str, texts: str) -> None:
    """Some test names the kind or its module, beside those that all keep."""
    if f'"{kind}"' not in texts and f"evornn.{folder}.{kind} " not in texts:
        pytest.fail(
            f'no test is about "{kind}": check what its paper says against another computation, or another library, in '
            f"a test of its own in tests/{folder}/ that names it",
            pytrace=False,
        )


def run_tests(
    folder: Path, plugin: str, which: str, suites: set[str], *options: str
) -> subprocess.CompletedProcess[str]:
    """Some tests, in a process whose catalog has the three of CONTRIBUTING.md."""
    write_files(folder)
    (folder / "new_entries.py").write_text(plugin)
    paths = os.pathsep.join([str(folder), str(ROOT / "tests" / "support"), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "new_entries", "-q", "-k", which]
    files = [str(path) for path in (ROOT / "tests").rglob("test_*.py") if path.stem in suites]
    env = os.environ | {"PYTHONPATH": paths}
    return subprocess.run([*command, *options, *files], cwd=ROOT, env=env, capture_output=True, text=True)


@pytest.mark.slow
@pytest.mark.parametrize("kind", SUITES)
def test_what_it_adds_keeps_every_contract(kind: str, tmp_path: Path) -> None:
    """With a line in the catalog, and for the network its independent check."""
    plugin = f'{PLUGIN}{blocks()[1]}cells_notation.BY_HAND["update_gate"] = update_gate\n'
    which = "[larger or -larger]" if kind == "larger" else kind  # other tests have the word in their names
    done = run_tests(tmp_path, plugin, which, SUITES[kind], "-rA")
    assert done.returncode == 0, done.stdout
    passed = set(re.findall(r"^PASSED tests/\w+/(\w+)\.py::", done.stdout, re.M))
    assert passed == SUITES[kind]


@pytest.mark.slow
def test_a_network_without_its_check_fails_and_is_told_what_to_write(tmp_path: Path) -> None:
    done = run_tests(tmp_path, PLUGIN, "update_gate and independent", SUITES["update_gate"])
    assert done.returncode == 1
    assert "update_gate has no independent check" in done.stdout and 'a("g", x, s["h"])' in done.stdout
