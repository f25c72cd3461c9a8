"""The store's benchmarks at their small size: what they count is right, whatever the machine's speed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_queue_loses_and_doubles_nothing(tmp_path: Path) -> None:
    found = run("queue", tmp_path / "queue.json")
    for database in ("sqlite", "postgresql"):
        queue = found[database]
        assert (queue["lost"], queue["doubled"], queue["locked"], queue["errors"]) == (0, 0, 0, 0)
        assert queue["zombie_writes"] == queue["zombie_writes_rejected"] > 0
        assert queue["claimed_per_second"] > 0 and queue["records_per_second"] > 0


@pytest.mark.slow
def test_a_store_is_filled_and_asked(tmp_path: Path) -> None:
    found = run("size", tmp_path / "size.json")
    for database in ("sqlite", "postgresql"):
        assert found[database]["rows"] == 5 * 200 * 20
        assert all(spent["largest"] >= spent["median"] > 0 for spent in found[database]["seconds"].values())


def run(benchmark: str, file: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", f"benchmarks.{benchmark}", "--quick", "--json", str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(file.read_text())
    return found
