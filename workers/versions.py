"""Checks for every run that its worker has the dispatcher's version of evornn. Both sides know their versions from the
start, so it costs a comparison of a few strings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evornn.errors import EvornnError

NUMERIC_LIBRARIES = ("numpy", "torch", "numba", "scipy", "cma", "evotorch", "gymnasium", "popgym")  # may change bits


class VersionMismatch(EvornnError):
    """A worker has another version of evornn than its dispatcher."""


def check_versions(dispatcher: Mapping[str, Any], worker: Mapping[str, Any]) -> list[str]:
    """Compare the versions of both sides, each from `training.environment.versions`. Returns the `differences`, which
    may change bits of a result but not its meaning. Raises VersionMismatch if the worker has another evornn."""
    if dispatcher["evornn"] != worker["evornn"]:
        raise VersionMismatch(
            f"this worker has evornn {worker['evornn']} and the dispatcher {dispatcher['evornn']}: install the same "
            "on all machines, restart Ray there, and resume the job"
        )
    return differences(dispatcher, worker)


def differences(dispatcher: Mapping[str, Any], worker: Mapping[str, Any]) -> list[str]:
    """Differences in numeric libraries and in the commit of the source tree:
    ["numpy 2.4.5 on the worker, 2.4.6 on the dispatcher", …]."""
    theirs, ours = ({**side["libraries"], "commit": side["commit"]} for side in (dispatcher, worker))
    pairs = [(name, ours.get(name) or "none", theirs.get(name) or "none") for name in ("commit", *NUMERIC_LIBRARIES)]
    return [f"{name} {mine} on the worker, {yours} on the dispatcher" for name, mine, yours in pairs if mine != yours]
