"""Does a worker run the same evornn as the dispatcher? Each run asks, and both sides have known the answer since they
started: it costs a comparison of a few strings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evornn.errors import EvornnError

NUMERIC_LIBRARIES = ("numpy", "torch", "numba", "scipy", "cma", "evotorch", "gymnasium", "popgym")  # may change bits


class VersionMismatch(EvornnError):
    """A worker has another evornn than the dispatcher that asks it."""


def check_versions(dispatcher: Mapping[str, Any], worker: Mapping[str, Any]) -> list[str]:
    """How this worker differs from the dispatcher in what may change bits, but not what a run means: see `differences`.
    Both are what `training.environment.versions` says. Raises OtherVersion where it is another evornn."""
    if dispatcher["evornn"] != worker["evornn"]:
        raise VersionMismatch(
            f"this worker has evornn {worker['evornn']} and the dispatcher {dispatcher['evornn']}: install the same "
            "on all machines, restart Ray there, and resume the job"
        )
    return differences(dispatcher, worker)


def differences(dispatcher: Mapping[str, Any], worker: Mapping[str, Any]) -> list[str]:
    """["numpy 2.4.5 here, 2.4.6 where it was asked", …], of the libraries and of the commit of the source tree."""
    theirs, ours = ({**side["libraries"], "commit": side["commit"]} for side in (dispatcher, worker))
    pairs = [(name, ours.get(name) or "none", theirs.get(name) or "none") for name in ("commit", *NUMERIC_LIBRARIES)]
    return [f"{name} {mine} here, {yours} where it was asked" for name, mine, yours in pairs if mine != yours]
