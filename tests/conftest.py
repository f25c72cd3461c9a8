"""What all tests share."""

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import CommandLine
from hypothesis import HealthCheck, settings
from postgres import Postgres

# A busy machine is no failure.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: tests often wait for processes that they have started."""
    return len(os.sched_getaffinity(0)) + 1 if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Fast tests first: a mistake shows within seconds. In parallel long files first: else one worker ends last."""
    tests = Counter(item.path for item in items)
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: (-slow[item.path], -tests[item.path]))
    else:
        items.sort(key=lambda item: item.get_closest_marker("slow") is not None)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One server per process of tests; `postgres.database()` answers the URL of a new, empty database."""
    with Postgres(durable=False) as server:
        yield server


@pytest.fixture(scope="session")
def migrated(postgres: Postgres) -> str:
    """The URL of a database with evornn's tables, for `postgres.database(migrated)` to copy: cheaper."""
    from evornn.store.upgrades import upgrade

    url = postgres.database()
    upgrade(url)
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a new database, of each kind; `evornn.store.store.open_store` opens it."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/evornn.db"
    return request.getfixturevalue("postgres").database(request.getfixturevalue("migrated"))


@pytest.fixture
def evornn(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> CommandLine:
    """The command `evornn`, in a folder of its own and without a store named by the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("EVORNN_STORE", raising=False)
    return CommandLine(monkeypatch, capfd, tmp_path)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may reach: pytest closes its own to others, each new run of pytest again."""
    folder = Path(tempfile.mkdtemp(prefix="evornn-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)
