"""Identity of what a run depends on besides its spec: the data that it names, and the user's own code.

Both are digested when a run is submitted. A worker digests them again, on any machine, and refuses a run whose digests
differ, so that no run is ever computed on two versions of its data.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from evornn.errors import EvornnError
from evornn.tasks.core.identity import DIGEST_BYTES, data_digest
from evornn.tasks.core.task import Data, EvaluationData

OWN_CODE = re.compile(r"([A-Za-z_][\w.]*):[A-Za-z_][\w.-]*")  # module:Name, in a kind, a loss or an environment
CODE_KEYS = ("kind", "loss", "environment")


@dataclass(frozen=True)
class RunIdentity:
    """Digests of what a spec names; None: not recorded (stores of earlier versions), or no such code."""

    data: str | None = None
    code: str | None = None


@dataclass(frozen=True)
class RunFacts:
    """What building a run says of it: its number of parameters n, and the identity of its data and code."""

    parameters: int
    identity: RunIdentity
    evaluation: EvaluationData = field(compare=False)  # what judges it later


def identify(fragments: Mapping[str, Any], data: Data) -> RunIdentity:
    """The identity of a run on this machine."""
    return RunIdentity(data_digest(data), code_digest(fragments))


def own_modules(fragments: Mapping[str, Any]) -> list[str]:
    """The modules of the user's own that fragments name, sorted."""
    return sorted(set(_named_modules(fragments)))


def code_digest(fragments: Mapping[str, Any]) -> str | None:
    """Digest of the files of the modules that fragments name, without what these import; None: they name none."""
    modules = own_modules(fragments)
    hash = blake2b(digest_size=DIGEST_BYTES)
    for name in modules:
        spec = find_spec(name)
        origin = Path(spec.origin) if spec is not None and spec.origin else None
        hash.update(name.encode() + b"\0" + (origin.read_bytes() if origin is not None and origin.is_file() else b""))
    return hash.hexdigest() if modules else None


def check_identity(expected: RunIdentity, fragments: Mapping[str, Any], data: Data) -> None:
    """Check that data and code on this machine are those that a run was submitted with.

    Args:
        expected: Identity of the run, from its submission.
        fragments: Fragments of the run.
        data: The task's data on this machine.

    Raises:
        EvornnError: Data or code differ.
    """
    actual = identify(fragments, data)
    if expected.data not in (None, actual.data):
        path = fragments["task"].get("path")
        task = fragments["task"]["kind"]
        difference = f"{path} on this machine differs" if path else f"the data of the task {task} here differ"
        raise EvornnError(
            f"{difference} from what this run was submitted with: put the data back, or submit the spec again to "
            "compute it on these"
        )
    if expected.code not in (None, actual.code):
        names = ", ".join(own_modules(fragments))
        raise EvornnError(
            f"the code of {names} on this machine differs from what this run was submitted with: put it back, or "
            "submit the spec again to compute it with this"
        )


def _named_modules(fragments: Mapping[str, Any]) -> Iterator[str]:
    for key, value in fragments.items():
        values = value if isinstance(value, list | tuple) else [value]
        for one in values:
            if isinstance(one, Mapping):
                yield from _named_modules(one)
            elif key in CODE_KEYS and isinstance(one, str) and (match := OWN_CODE.fullmatch(one)):
                yield match.group(1)
