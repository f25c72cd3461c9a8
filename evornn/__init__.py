"""evornn: train recurrent networks by evolution, by gradient and by both, and find out which is better.

`import evornn` is light: what is named here is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evornn.errors import EvornnError
    from evornn.library import connect, open, resume, run, train
    from evornn.networks.network import Network
    from evornn.training.budget import Budget

__all__ = ["Budget", "EvornnError", "Network", "connect", "open", "resume", "run", "train"]
_PLACES = {
    "Budget": "evornn.training.budget",
    "EvornnError": "evornn.errors",
    "Network": "evornn.networks.network",
    "connect": "evornn.library",
    "open": "evornn.library",
    "resume": "evornn.library",
    "run": "evornn.library",
    "train": "evornn.library",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'evornn' has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
