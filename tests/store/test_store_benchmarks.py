"""The store's benchmarks at a size of their own: what they count is right, whatever the machine's speed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from postgres import Postgres

from benchmarks import queue, size

Databases = list[tuple[str, str]]


@pytest.fixture
def databases(postgres: Postgres, tmp_path: Path) -> Databases:
    return [("sqlite", f"sqlite:///{tmp_path}/evornn.db"), ("postgresql", postgres.database())]


def run(
    benchmark: ModuleType, small: Any, databases: Databases, monkeypatch: pytest.MonkeyPatch, file: Path
) -> dict[str, Any]:
    """The benchmark's command, with `small` for its quick size."""
    monkeypatch.setattr(benchmark, "QUICK", small)
    monkeypatch.setattr(benchmark, "databases", lambda: databases)
    monkeypatch.setattr(sys, "argv", [benchmark.__name__, "--quick", "--json", str(file)])
    benchmark.main()
    results: dict[str, Any] = json.loads(file.read_text())
    return results


@pytest.mark.slow  # processes of their own
def test_the_queue_loses_and_doubles_nothing(
    databases: Databases, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    small = queue.Size(jobs=30, processes=3, zombie_writes=8, writers=3, records=5)
    results = run(queue, small, databases, monkeypatch, tmp_path / "queue.json")
    for database in ("sqlite", "postgresql"):
        counts = results[database]
        assert (counts["lost"], counts["doubled"], counts["locked"], counts["errors"]) == (0, 0, 0, 0)
        assert counts["zombie_writes"] == counts["zombie_writes_rejected"] == 8
        assert counts["claimed_per_second"] > 0 and counts["records_per_second"] > 0


def test_a_store_is_filled_and_asked(databases: Databases, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    small = size.Size(jobs=5, marks=4, repeats=1)
    results = run(size, small, databases, monkeypatch, tmp_path / "size.json")
    for database in ("sqlite", "postgresql"):
        assert results[database]["rows"] == 5 * 200 * 4
        assert all(spent["largest"] >= spent["median"] > 0 for spent in results[database]["seconds"].values())
