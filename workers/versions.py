"""Does a worker run the same evornn as the dispatcher? Each run asks, and both sides have known the answer since they
started: it costs a comparison of a few strings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evornn.errors import EvornnError

DECIDING = ("numpy", "torch", "numba", "scipy", "cma", "evotorch", "gymnasium", "popgym")  # may change bits


class OtherVersion(EvornnError):
    """A worker has another evornn than the dispatcher that asks it."""


def checked(asking: Mapping[str, Any], own: Mapping[str, Any]) -> list[str]:
    """How this worker differs from the dispatcher in what may change bits, but not what a run means: see `differences`.
    Both are what `training.environment.versions` says. Raises OtherVersion where it is another evornn."""
    if asking["evornn"] != own["evornn"]:
        raise OtherVersion(
            f"this worker has evornn {own['evornn']} and the dispatcher {asking['evornn']}: install the same on all "
            "machines, start Ray anew there, and resume the job"
        )
    return differences(asking, own)


def differences(asking: Mapping[str, Any], own: Mapping[str, Any]) -> list[str]:
    """["numpy 2.4.5 here, 2.4.6 where it was asked", …], of the libraries and of the commit of the source tree."""
    theirs, ours = ({**side["libraries"], "commit": side["commit"]} for side in (asking, own))
    pairs = [(name, ours.get(name) or "none", theirs.get(name) or "none") for name in ("commit", *DECIDING)]
    return [f"{name} {mine} here, {yours} where it was asked" for name, mine, yours in pairs if mine != yours]
