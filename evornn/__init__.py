"""evornn trains recurrent networks by evolution, by gradient and by both, and finds out which is better.

`import evornn` is light: each public name is loaded at its first use.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evornn.errors import EvornnError
    from evornn.estimators import Classifier, Forecaster, Regressor
    from evornn.library import connect, fit, load, open, resume, run, train, tune

    __version__: str
    from evornn.models.standalone import StandaloneModel
    from evornn.networks.network import Network
    from evornn.training.budget import Budget

# Torch's matrix products (Intel's MKL) must not depend on where in memory a member lies. Without this setting they do,
# on AMD's processors at least, and a network's bits depend on its neighbours. It costs no measurable time.
os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")

__all__ = [
    "Budget",
    "Classifier",
    "EvornnError",
    "Forecaster",
    "Network",
    "Regressor",
    "StandaloneModel",
    "connect",
    "fit",
    "load",
    "open",
    "resume",
    "run",
    "train",
    "tune",
]
_MODULES = {
    "Budget": "evornn.training.budget",
    "Classifier": "evornn.estimators",
    "EvornnError": "evornn.errors",
    "Forecaster": "evornn.estimators",
    "Network": "evornn.networks.network",
    "Regressor": "evornn.estimators",
    "StandaloneModel": "evornn.models.standalone",
    "connect": "evornn.library",
    "fit": "evornn.library",
    "load": "evornn.library",
    "open": "evornn.library",
    "resume": "evornn.library",
    "run": "evornn.library",
    "train": "evornn.library",
    "tune": "evornn.library",
}


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("evornn")
    if name not in _MODULES:
        raise AttributeError(f"module 'evornn' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
