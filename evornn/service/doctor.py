"""`evornn doctor`: whether this machine is ready, and if not, what to do."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from evornn import cache
from evornn.errors import EvornnError

NEEDED = ("torch", "numpy", "sqlalchemy", "ray", "evotorch", "cma", "plotly")
EXTRAS = {
    "server": ("a2wsgi", "dash", "fastapi", "httpx", "prometheus-client", "psycopg", "uvicorn"),
    "tune": ("optuna",),
    "parquet": ("pyarrow",),
    "data": ("chemicals", "music21"),
    "gym": ("gymnasium", "popgym"),
    "export": ("onnx", "onnxruntime"),
    "sklearn": ("scikit-learn",),
}


@dataclass(frozen=True)
class Finding:
    """The result of one check; `found` says what to do if it is not good."""

    what: str
    good: bool
    found: str


def examine(store: str) -> list[Finding]:
    """Run all checks; never raises. `store` is a database URL."""
    checks: list[tuple[str, Callable[[], str]]] = [
        ("Python", _python),
        ("packages", _packages),
        ("extras", _extras),
        ("processors", lambda: f"{psutil.cpu_count(logical=False) or psutil.cpu_count()} cores"),
        ("memory", _memory),
        ("disk", _disk),
        ("cache", _cache),
        ("GPU", _gpu),
        ("network", _network),
        ("store", lambda: _store(store)),
    ]
    return [_run_check(what, check) for what, check in checks]


def _run_check(what: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(what, True, check())
    except EvornnError as error:
        return Finding(what, False, str(error))
    except Exception as error:  # the other checks are needed all the more
        return Finding(what, False, f"{type(error).__name__}: {' '.join(str(error).split())}")


def _python() -> str:
    return sys.version.split()[0]  # pip refuses older ones than evornn needs


def _packages() -> str:
    versions = {name: _version(name) for name in NEEDED}
    if missing := [name for name, number in versions.items() if not number]:
        raise EvornnError(f"missing: pip install {' '.join(missing)}")
    return ", ".join(f"{name} {number}" for name, number in versions.items())


def _extras() -> str:
    """Installed extras, and the command that installs the others; all are optional."""
    missing = [extra for extra, names in EXTRAS.items() if not all(_version(name) for name in names)]
    installed = ", ".join(extra for extra in EXTRAS if extra not in missing) or "none"
    return f"{installed}; for {', '.join(missing)}: pip install 'evornn[{','.join(missing)}]'" if missing else installed


def _version(name: str) -> str:
    """The version of an installed distribution, or empty."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _memory() -> str:
    free = psutil.virtual_memory().available / 2**30
    if free < 1:
        raise EvornnError(f"{free:.1f} GiB free: a local Ray needs about 1 GiB; close programs, or use --workers 0")
    return f"{free:.1f} GiB free of {psutil.virtual_memory().total / 2**30:.1f}"


def _disk() -> str:
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    if free < 0.5:
        raise EvornnError(f"{free:.2f} GiB free here: free some space before a long experiment")
    return f"{free:.1f} GiB free here"


def _cache() -> str:
    return f"compiled kernels are kept in {cache.check()}"


def _gpu() -> str:
    from evornn.training.environment import gpus

    return ", ".join(gpus()) or "none (not needed)"


def _network() -> str:
    """Evaluate a small network: everything from its equation to its loss works."""
    import numpy as np

    from evornn.networks.network import Network

    network = Network("lstm", inputs=1, units=4, outputs=1)
    series = np.zeros((2, 5, 1), np.float32)
    losses = network.losses(network.sample(3, seed=0), series, series)
    if not np.isfinite(losses).all():
        raise EvornnError("an LSTM's loss is not finite: the torch installation is damaged, install it again")
    return f"evaluates on {network.backend}"


def _store(url: str) -> str:
    from evornn.experiments.analysis.narrative import plural
    from evornn.store.database import Database
    from evornn.store.store import open_store

    database = Database(url)
    if database.path is not None and not database.path.exists():
        return f"{url} (the first run will create it)"
    with open_store(url, create=False) as store:
        return f"{store.display_url}, {plural(len(store.jobs()), 'job')}"
