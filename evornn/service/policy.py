"""What a spec from outside may name: data sets below one folder, and code that the operator has listed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from evornn.errors import EvornnError
from evornn.experiments.spec import RunPlan
from evornn.settings import BadSetting
from evornn.store.records import Event, LogLine, StoredRun

Record = TypeVar("Record", StoredRun, Event, LogLine)
FILES = {
    kind: "path" for kind in ("csv", "classify", "forecast", "regress", "label", "language", "jsb_chorales")
}  # kind of task → its setting that names a file
CODE_SETTINGS = {"gymnasium": ("environment", "arguments")}  # kind of task → settings that name code, and its arguments


@dataclass(frozen=True)
class SubmissionPolicy:
    """The operator's choice. A spec is plain data and never code; files and classes are all that it can name."""

    data: Path | None = None  # the folder of data sets; None: a spec may name none
    allowed_code: frozenset[str] = field(default_factory=frozenset)  # `pkg.module:Class` and environments

    def apply(self, plans: list[RunPlan]) -> list[RunPlan]:
        """Resolve the files of runs to paths of this machine. Raises EvornnError for one that may not be read."""
        resolved: dict[int, dict[str, Any]] = {}  # what runs share, they share afterwards
        for plan in plans:
            parts = plan.fragments
            if id(parts) not in resolved:
                resolved[id(parts)] = {**parts, "task": self._resolve_task(parts["task"])}
        return [replace(plan, fragments=resolved[id(plan.fragments)]) for plan in plans]

    def _resolve_task(self, task: Mapping[str, Any]) -> Mapping[str, Any]:
        code, given = CODE_SETTINGS.get(str(task.get("kind")), ("", ""))
        if task.get(code) not in self.allowed_code and _has_text(task.get(given)):
            raise BadSetting(
                f"task.{given}",
                f"this server accepts numbers and booleans only, because texts can name files and code: leave them "
                f"out, ask its operator for `--own {str(task.get(code))[:80]}`, or run it on your machine, evornn run",
            )
        setting = FILES.get(str(task.get("kind")), "")
        name = task.get(setting)
        return task if name is None else {**task, setting: str(self.resolve_file(name))}

    @contextmanager
    def hide_folder(self) -> Iterator[None]:
        """Errors within name the files of the data folder as the submitter does, without the folder."""
        try:
            yield
        except EvornnError as error:
            if self.data is not None:
                folder = f"{self.data.resolve()}{os.sep}"
                error.args = tuple(_without(folder, part) for part in error.args)
                vars(error).update({name: _without(folder, part) for name, part in vars(error).items()})
            raise

    def without_folder(self, record: Record) -> Record:
        """A run, event or log line that names the files of the data folder as the submitter did."""
        if self.data is None:
            return record
        folder = f"{self.data.resolve()}{os.sep}"
        return replace(record, **{name: _without(folder, value) for name, value in vars(record).items()})

    def resolve_file(self, name: object) -> Path:
        """The file of a data set; files outside of the folder are refused, even behind a link. Raises EvornnError."""
        if self.data is None:
            raise EvornnError("this server has no data sets: its operator names their folder with --data")
        error = EvornnError(f"no data set {str(name)[:80]!r}: give the name of a file in the server's data folder")
        if not isinstance(name, str) or not name or "\0" in name:
            raise error
        try:
            root = self.data.resolve(strict=True)
            file = (root / name).resolve(strict=True)
        except (OSError, ValueError, RuntimeError):  # no such file, a name that is too long, a cycle of links
            raise error from None
        if not file.is_relative_to(root) or not file.is_file():
            raise error
        return file


def _without(folder: str, value: Any) -> Any:
    """Plain data whose texts don't have the folder."""
    if isinstance(value, Mapping):
        return {name: _without(folder, part) for name, part in value.items()}
    return value.replace(folder, "") if isinstance(value, str) else value


def _has_text(value: Any) -> bool:
    """Whether plain data contains a text, other than as a key."""
    if isinstance(value, Mapping):
        value = list(value.values())
    return any(map(_has_text, value)) if isinstance(value, (list, tuple)) else isinstance(value, str)
