"""Training on a file that does not fit into memory."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA bounds what is Linux's"),
]

BYTES, MOST = 400 * 10**6, 600 * 2**20
TRAIN = """
import resource, sys
import numpy as np
from evornn import Budget, Network, train
from evornn.data import large_files
from evornn.tasks import TASKS
from evornn.trainers import TRAINERS

if sys.argv[1] == "in memory":
    large_files.LARGE_BYTES = 1e18
trainer = TRAINERS.build({"kind": "adam", "batch": 32})
small = TASKS.build({"kind": "sines"}).data()
network = Network("gru", inputs=small.sizes[0], units=4, outputs=small.sizes[1])
train(network, small, trainer, budget=Budget(steps=50_000))  # what is loaded and compiled by then is the baseline
data = int(next(line for line in open("/proc/self/status") if line.startswith("VmData")).split()[1]) * 1024
resource.setrlimit(resource.RLIMIT_DATA, (data + int(sys.argv[2]),) * 2)
task = TASKS.build({"kind": "label", "path": "data.csv", "targets": "state"}).data()
network = Network("gru", inputs=task.sizes[0], units=4, outputs=task.sizes[1])
print(train(network, task, trainer, budget=Budget(steps=300_000)).result.test_loss)
"""


def write_file(path: Path) -> None:
    """Twelve noisy columns of numbers, and which of two is larger."""
    x = np.random.default_rng(0).normal(size=(50_000, 12))
    rows = [",".join(f"{value:.6f}" for value in row) + (",up" if row[0] > row[1] else ",down") for row in x]
    block = ("\n".join(rows) + "\n").encode()
    with path.open("wb") as file:
        file.write((",".join(f"x{k}" for k in range(12)) + ",state\n").encode())
        for _ in range(-(-BYTES // len(block))):
            file.write(block)


def run(folder: Path, how: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "EVORNN_CACHE": str(folder / "cache"), "MALLOC_ARENA_MAX": "2"}
    command = [sys.executable, "-c", TRAIN, how, str(MOST)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=900)


def test_a_large_file_is_learned_from_in_bounded_memory(tmp_path):
    write_file(tmp_path / "data.csv")
    done = run(tmp_path, "mapped")
    assert done.returncode == 0, done.stderr[-2000:]
    assert 0 < float(done.stdout.split()[-1]) < 1
    assert run(tmp_path, "in memory").returncode != 0
