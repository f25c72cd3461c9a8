"""The file of the spec of `evornn fit`: written once, and found again by the same call."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evornn import files
from evornn.errors import EvornnError
from evornn.experiments import yaml

CHOSEN = ("seeds", "budget")  # what depends on the machine and the time


def find_spec(path: Path, spec: Mapping[str, Any], minutes: float) -> dict[str, Any] | None:
    """The spec that an earlier call has written, for the same question and the same time. None: there is none.

    Args:
        path: The file.
        spec: What this call would write, but for seeds and budget.
        minutes: The time that it would be chosen for.

    Raises:
        EvornnError: The file is there, and is something else.
    """
    if not path.exists():
        return None
    try:
        known = yaml.read(path)
    except EvornnError as error:
        raise EvornnError(f"{error}; to keep it, name another file with --spec") from None
    if {**known, **dict.fromkeys(CHOSEN)} != {**spec, **dict.fromkeys(CHOSEN)}:
        raise EvornnError(
            f"{path}: is there already and is another spec: name a new file with --spec, or run that one: "
            f"`evornn run {path}`"
        )
    return known if path.read_text(encoding="utf-8").startswith(_head(minutes)) else None


def write_spec(path: Path, spec: Mapping[str, Any], minutes: float) -> None:
    """Write a spec so that `find_spec` finds it again. Raises EvornnError if the file can't be written."""
    try:
        files.write(path, (_head(minutes) + yaml.to_text(dict(spec))).encode())
    except OSError as error:
        raise EvornnError(f"can't write {path}: {error.strerror or error}; choose another file with --spec") from None


def _head(minutes: float) -> str:
    return f"# Chosen by `evornn fit --minutes {minutes:g}`\n"
