"""What a result depends on besides its spec: code, libraries, machine and backend."""

from __future__ import annotations

import os
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

LIBRARIES = (
    "numpy", "torch", "numba", "scipy", "cma", "evotorch", "gymnasium", "popgym", "chemicals", "music21", "ray",
    "sqlalchemy",
)  # fmt: skip


def environment(network: Any, backend: str) -> dict[str, Any]:
    """The environment as plain data for a run's record: machine, device and threads of the network, `backend`."""
    return {
        **machine(),
        "device": str(network.device),
        "backend": backend,
        "threads": network.evaluator.threads,
    }


@cache
def versions() -> dict[str, Any]:
    """Versions of the code and its libraries, none of which is imported."""
    return {
        "evornn": _version("evornn"),
        "commit": _commit(),
        "python": platform.python_version(),
        "libraries": {name: release for name in LIBRARIES if (release := _version(name))},
        "mkl_cbwr": os.environ.get("MKL_CBWR"),  # how torch's matrix products round
    }


@cache
def machine() -> dict[str, Any]:
    """Versions and hardware of this process's machine."""
    return {
        **versions(),
        "cpu": cpu(),
        "cores": os.cpu_count(),
        "gpus": gpus(),
        "system": platform.platform(),
    }


def gpus() -> list[str]:
    """Names of the CUDA devices that torch can use."""
    import torch

    return (
        [torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _commit() -> str:
    """The git commit of the source tree, with "+" if it was changed; empty for an installed wheel."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return ""
    try:
        run = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty=+", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=5,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return run.stdout.strip()


def cpu() -> str:
    """Model name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
